"""Redis clients with the time-outs and the retry rule that each use needs.

redis-py repeats every command up to ten times by default, also those that must not run twice; none of ours does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from dtq_site.foundation.clock import elapsed_clock

Answer = TypeVar("Answer")


def redis_client(url: str, *, timeout_seconds: float, max_connections: int = 64) -> Redis:
    """A client that answers or fails within `timeout_seconds` and never repeats a command."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return Redis(connection_pool=pool, retry=Retry(NoBackoff(), 0))


class Breaker:
    """Stops calling a server that just failed, so that its absence costs one time-out a pause and not one a call.

    The pause doubles while failures repeat, up to `longest_seconds`, and is short again after a success.
    """

    def __init__(
        self,
        *,
        pause_seconds: float = 1.0,
        longest_seconds: float = 10.0,
        clock: Callable[[], float] = elapsed_clock,
    ) -> None:
        self._shortest = self._pause = pause_seconds
        self._longest = longest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._paused_until = 0.0

    @property
    def passing(self) -> bool:
        """Whether calls are let through."""
        return self._clock() >= self._paused_until

    def trip(self) -> None:
        """Note a failure: let no call through for a while. Calls that fail together count as one."""
        with self._lock:
            if self.passing:
                self._paused_until = self._clock() + self._pause
                self._pause = min(self._pause * 2, self._longest)

    def recover(self) -> None:
        """Note a success."""
        self._pause = self._shortest

    def call(self, operation: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return what `operation` returns, or `otherwise` if Redis fails now or failed within the pause."""
        if not self.passing:
            return otherwise
        try:
            answer = operation()
        except RedisError:
            self.trip()
            return otherwise
        self.recover()
        return answer
