"""How many tasks a worker claims beyond its free slots, so that short ones do not each cost a round trip.

It holds at most what it will start within a horizon; what has not started by then is given back. Where tasks are long, or
nothing is known of them, it claims for free slots only: a task must not sit behind another while a second worker is idle. A
worker that may be cut off can be told to hold some more all the same.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

HORIZON_SECONDS = 0.05
MOST = 200
_REMEMBERED = 100
_FEWEST = 10
_DEVIATIONS = 2  # the sum of many run times stays below its mean and so many standard deviations 98 times in 100


@dataclass(frozen=True)
class Ahead:
    """How far a worker claims ahead: what it starts within the horizon, and `prefetch` tasks beside."""

    horizon_seconds: float = HORIZON_SECONDS
    prefetch: int = 0


NO_FURTHER = Ahead()
"""No tasks but those that start soon."""


class RunTimes:
    """How long the latest attempts ran, in seconds. One thread may read while others add."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Remember one attempt."""
        self._latest.append(seconds)

    def fitting(self, seconds: float) -> int:
        """How many attempts, one after the other, are over within so many seconds; none while too few are known.

        It goes by the sum of the run times and how far they scatter: the largest n with n mean + 2 deviation sqrt(n)
        within the time.
        """
        times = list(self._latest)
        if len(times) < _FEWEST:
            return 0
        mean = max(math.fsum(times) / len(times), 1e-6)
        deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in times) / len(times))
        reach = _DEVIATIONS * deviation / 2
        return int(((math.sqrt(reach**2 + mean * seconds) - reach) / mean) ** 2)


def look_ahead(run_times: RunTimes, turning_slots: int, horizon_seconds: float = HORIZON_SECONDS) -> int:
    """How many more tasks than slots will start within the horizon.

    `turning_slots` are those that are free or have been taken just now: one that has been taken for longer than the
    horizon may be taken for long.
    """
    return min(MOST, run_times.fitting(turning_slots * horizon_seconds))


def rows_for(slots: int, prefetch: int = 0) -> int:
    """How many attempts a process with so many slots holds at most: those that wait or run, and as many again and more
    whose outcomes are on their way.
    """
    return 2 * (slots + prefetch + MOST) + 600
