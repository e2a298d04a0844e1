"""The systems under measure: how each is set up, started and named. One file a system; this one says what they share."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import peers

Arguments = tuple[str, ...]
"""What follows `python` on a command line that is run in the project's folder."""


@dataclass(frozen=True)
class System:
    """One queue in one configuration."""

    title: str
    application: str
    """The module below `applications/` that its producer loads."""
    worker: Arguments
    """Its worker with two processes."""
    configuration: str
    """What the page says of how it is set up; Markdown."""
    only_drained: bool = False
    """Whether it is a variant that takes part in the drain alone."""
    is_ours: bool = False
    scheduler: Arguments | None = None
    """The process that the system wants to run beside its workers."""
    preparation: tuple[Arguments, ...] = ()
    """What makes its tables."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return Path(sys.executable) if self.is_ours else peers.python()
