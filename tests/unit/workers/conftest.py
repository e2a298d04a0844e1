"""What tests of the parts of workers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import task
from tasks.handling import registry
from tests.unit.workers.heirs import Heir
from tests.unit.workers.making import MEGABYTE
from tests.unit.workers.remote_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A remote transport with an empty store."""
    return World(tmp_path / "store", MEGABYTE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The folder of outbox files that processes share."""
    return tmp_path / "store"


@pytest.fixture
def heir(path: Path, monkeypatch: pytest.MonkeyPatch) -> Heir:
    """A process that finds what others have left in that folder, and knows the handler `job`."""
    monkeypatch.setattr(registry, "_handlers", {})
    task("job")(lambda: None)
    return Heir(path)
