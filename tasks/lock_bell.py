"""Wakes those who wait for a lock inside of a handler. Redis only rings: the lock's row decides, and a ring that is lost
costs a little time, because they look by themselves too."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable

from django.conf import settings
from redis import Redis

from dtq_site.foundation.backoff import spread
from dtq_site.foundation.redis_clients import Breaker, redis_client
from tasks.queue import keys
from tasks.queue.dispatch import redis_index
from tasks.queue.shards import HINT_TIMEOUT_SECONDS, PATIENT_TIMEOUT_SECONDS

LONGEST_WAIT_SECONDS = 1.0
POLL_SECONDS = 0.2
_MOST_WAITERS = 256


class LockBell:
    """Rings and waits; neither ever fails its caller."""

    def __init__(self, ringing: Redis, waiting: Redis) -> None:
        self._ringing = ringing
        self._waiting = waiting
        self._ringing_breaker = Breaker()
        self._waiting_breaker = Breaker()

    def ring(self, names: Iterable[str]) -> None:
        """Wake one who waits for each of these locks; one that comes a moment later finds the ring, too."""
        self._ringing_breaker.call(lambda: self._ring(names), None)

    def _ring(self, names: Iterable[str]) -> None:
        with self._ringing.pipeline(transaction=False) as pipeline:
            for key in map(keys.lock_bell, names):
                pipeline.lpush(key, "1")
                pipeline.ltrim(key, 0, 0)
                pipeline.expire(key, keys.LOCK_BELL_SECONDS)
            pipeline.execute()

    def wait(self, name: str, seconds: float) -> None:
        """Sleep until the lock may have been freed: at most `seconds` and a moment, at most LONGEST_WAIT_SECONDS."""
        seconds = min(seconds, LONGEST_WAIT_SECONDS)
        if not self._waiting_breaker.call(lambda: self._heard(name, seconds), False):
            time.sleep(min(seconds, spread(POLL_SECONDS, 0.5)))

    def _heard(self, name: str, seconds: float) -> bool:
        self._waiting.blpop([keys.lock_bell(name)], timeout=max(seconds, 0.01))  # 0 would be for ever
        return True


@functools.cache
def lock_bell() -> LockBell:
    """This process's bell, made when first needed."""
    redis_index()  # it starts the embedded Redis, where that is configured
    return LockBell(
        redis_client(settings.REDIS_URL, timeout_seconds=HINT_TIMEOUT_SECONDS),
        redis_client(settings.REDIS_URL, timeout_seconds=PATIENT_TIMEOUT_SECONDS, max_connections=_MOST_WAITERS),
    )
