"""The counter that the handlers drive (`counting.py`), as the harness sees it."""

from __future__ import annotations

import time

from redis import Redis

COUNT = "benchmark:count"
TICKS = "benchmark:ticks"
ARRIVALS = "benchmark:arrivals"
TICK_EVERY = 100
STALLS_AFTER_SECONDS = 60.0


class StalledError(Exception):
    """The counter stood still for a minute, short of what was waited for."""


class Counter:
    """The counter in one Redis database."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def reset(self) -> None:
        """Begin at zero."""
        self._redis.delete(COUNT, TICKS, ARRIVALS)

    def reached(self) -> int:
        """Where it stands."""
        return int(self._redis.get(COUNT) or 0)

    def wait_for(self, target: int) -> int:
        """Wait until it stands at `target` or beyond, and return where. Raises StalledError."""
        last, moved_at = -1, time.monotonic()
        while (reached := self.reached()) < target:
            if reached != last:
                last, moved_at = reached, time.monotonic()
            elif time.monotonic() - moved_at > STALLS_AFTER_SECONDS:
                raise StalledError(f"{reached:,} of {target:,} tasks in a minute without another")
            time.sleep(0.02)
        return reached

    def rate(self, first: int, last: int) -> float:
        """Increments a second between the first tick at or after `first` and the last one at or before `last`."""
        ticks = [tuple(map(int, tick.split())) for tick in self._redis.lrange(TICKS, 0, -1)]
        within = sorted((reached, moment) for reached, moment in ticks if first <= reached <= last)
        (begin, begun), (end, ended) = within[0], within[-1]
        return (end - begin) / (ended - begun) * 1e9
