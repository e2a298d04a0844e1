"""How many tasks a worker claims beyond its free slots, so that short ones do not each cost a round trip.

It holds at most what it will start within `HORIZON_SECONDS`; what has not started by then is given back. Where tasks are
long, or nothing is known of them, it claims for free slots only: a task must not sit behind another while a second worker is
idle.
"""

from __future__ import annotations

import math
from collections import deque

HORIZON_SECONDS = 0.05
MOST = 200
_REMEMBERED = 100
_FEWEST = 10


class RunTimes:
    """How long the latest attempts ran, in seconds. One thread may read while others add."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Remember one attempt."""
        self._latest.append(seconds)

    def p95(self) -> float:
        """The time within which 95 of 100 attempts end; endless while too few are known."""
        times = sorted(self._latest)
        return times[math.ceil(len(times) * 0.95) - 1] if len(times) >= _FEWEST else math.inf


def look_ahead(p95_seconds: float, turning_slots: int) -> int:
    """How many more tasks than slots will start within the horizon.

    `turning_slots` are those that are free or have been taken just now: one that has been taken for longer than the
    horizon may be taken for long.
    """
    return min(MOST, int(turning_slots * HORIZON_SECONDS / max(p95_seconds, 1e-6)))


def rows_for(slots: int) -> int:
    """How many attempts a process with so many slots holds at most: those that wait or run, and as many again and more
    whose outcomes are on their way.
    """
    return 2 * (slots + MOST) + 600
