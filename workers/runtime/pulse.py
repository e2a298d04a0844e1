"""How long ago the slowest loop of a process last turned, in memory that it shares with its parent.

Its owner writes it again and again; when all of it stands still, nobody writes, and what stands there grows old.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.service import Service


class Pulse:
    """The pulse of one process. Made before the processes that share it are forked."""

    def __init__(self) -> None:
        self._turned_at = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.beat()

    def beat(self, services: Iterable[Service] = ()) -> None:
        """Note that this process goes on, and how late the latest of its loops is."""
        late_seconds = max((service.late_seconds for service in services), default=0.0)
        self._turned_at[0] = elapsed_clock() - max(late_seconds, 0.0)

    @property
    def late_seconds(self) -> float:
        """For how long the process, or one of its loops, has not turned."""
        return elapsed_clock() - self._turned_at[0]
