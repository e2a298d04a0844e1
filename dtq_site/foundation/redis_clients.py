"""Redis clients with the time-outs and the retry rule that each use needs, whatever kind of Redis a URL leads to.

redis-py repeats every command up to ten times by default, also those that must not run twice; none of ours does. A server that
says that it may not be written to was demoted: its connection is given up, so that the next one finds the new master.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import redis.asyncio as asynchronous
from django_redis.pool import ConnectionFactory
from redis import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import Connection
from redis.exceptions import ReadOnlyError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.redis_address import Kind, RedisAddress, read_redis_url

Answer = TypeVar("Answer")

CACHE_SECONDS = 2.0
"""How long Django's cache waits for an answer."""

_SENTINEL_SECONDS = 0.5
"""How long the channel layer, which waits for messages without end, waits for a Sentinel."""


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the master that the Sentinels name; who finds all in use waits for one."""


def redis_client(url: str, *, timeout_seconds: float, max_connections: int = 64) -> Redis:
    """A client of the one server to which the URL leads. It answers or fails within `timeout_seconds`, but for a moment when
    Sentinels must be asked for the master, and never repeats a command.
    """
    pool = _pool(read_redis_url(url), timeout_seconds, max_connections, decode_responses=True)
    return Redis(connection_pool=pool)


def _pool(address: RedisAddress, timeout_seconds: float, max_connections: int, **more: Any) -> ConnectionPool:
    limits = _limits(timeout_seconds)
    pooled = limits | {"max_connections": max_connections, "timeout": timeout_seconds} | more
    if address.kind is Kind.SENTINEL:
        sentinels = Sentinel(address.hosts, sentinel_kwargs={**address.sentinel_options, **limits})
        return _SentinelPool(address.master, sentinels, **address.options, **pooled)
    assert address.kind is Kind.SERVER, "a cluster has no one server: see redis_cluster.py"
    return BlockingConnectionPool.from_url(address.url, **pooled)


def _limits(timeout_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [ReadOnlyError],  # repeats none, for there are no tries: but the connection is closed
    }


def node_client(address: RedisAddress, host: str, port: int, *, timeout_seconds: float, max_connections: int) -> Redis:
    """As `redis_client`, of one node of a cluster."""
    options = dict(address.options)
    kind = SSLConnection if options.pop("ssl", False) else Connection
    pool = BlockingConnectionPool(
        host=host,
        port=port,
        connection_class=kind,
        max_connections=max_connections,
        timeout=timeout_seconds,
        decode_responses=True,
        **options,
        **_limits(timeout_seconds),
    )
    return Redis(connection_pool=pool)


def cluster_client(address: RedisAddress, *, timeout_seconds: float) -> RedisCluster:
    """A client that knows which node has which slot; it reads that here and now. Raises RedisClusterException."""
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        require_full_coverage=False,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        **address.options,
    )


def async_redis_client(url: str, *, timeout_seconds: float) -> asynchronous.Redis:
    """As `redis_client`, for an event loop. Closing it closes its connections."""
    address = read_redis_url(url)
    limits: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": AsyncRetry(NoBackoff(), 0),
    }
    if address.kind is Kind.SENTINEL:
        sentinels = AsyncSentinel(address.hosts, sentinel_kwargs={**address.sentinel_options, **limits})
        pool = AsyncSentinelPool(address.master, sentinels, decode_responses=True, **address.options, **limits)
        return asynchronous.Redis.from_pool(pool)
    return asynchronous.Redis.from_url(url, decode_responses=True, **limits)


def channel_host(url: str) -> dict[str, Any]:
    """What the channel layer is told of the server.

    A connection that is lost must show: mended in silence, what was said meanwhile would be missed.
    """
    address = read_redis_url(url)
    limits = {"socket_timeout": None, "retry": AsyncRetry(NoBackoff(), 0)}
    if address.kind is Kind.SERVER:
        return {"address": url, **limits}
    asked = {"socket_timeout": _SENTINEL_SECONDS, "retry": AsyncRetry(NoBackoff(), 0)}
    return {
        "master_name": address.master,
        "sentinels": list(address.hosts),
        "sentinel_kwargs": {**address.sentinel_options, **asked},
        **address.options,
        **limits,
    }


class CacheConnections(ConnectionFactory):
    """Django's cache on the same kinds of Redis, by connections made here."""

    def get_connection_pool(self, params: dict[str, Any]) -> ConnectionPool:
        """See ConnectionFactory."""
        return _pool(read_redis_url(params["url"]), CACHE_SECONDS, max_connections=64)


class Breaker:
    """Stops calling a server that just failed, so that its absence costs one time-out a pause and not one a call.

    The pause doubles while failures repeat, up to `longest_seconds`, and is short again after a success. `on_trip` is told
    of every failure.
    """

    def __init__(
        self,
        *,
        pause_seconds: float = 1.0,
        longest_seconds: float = 10.0,
        clock: Callable[[], float] = elapsed_clock,
        on_trip: Callable[[], None] | None = None,
    ) -> None:
        self._shortest = self._pause = pause_seconds
        self._longest = longest_seconds
        self._clock = clock
        self._on_trip = on_trip
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
        if self._on_trip is not None:
            self._on_trip()

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
