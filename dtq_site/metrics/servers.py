"""Redis, as this process finds it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from django.conf import settings
from prometheus_client.core import Metric
from redis import Redis
from redis.exceptions import RedisError

from dtq_site.foundation.redis_clients import redis_client
from dtq_site.metrics.families import counter, gauge
from tasks.queue.dispatch import redis_index

TIMEOUT_SECONDS = 0.5


def families() -> Iterator[Metric]:
    """What Redis says of itself; while it is away only that."""
    try:
        facts = _client(settings.REDIS_URL).info()
    except RedisError:
        facts = {}
    yield gauge("dtq_redis_up", "Whether Redis answers this process.", int(bool(facts)))
    if facts:
        yield gauge("dtq_redis_memory_bytes", "Memory that Redis uses for its data.", facts["used_memory"])
        yield gauge("dtq_redis_max_memory_bytes", "Memory that Redis may use; 0: any.", facts["maxmemory"])
        yield gauge("dtq_redis_clients", "Connections to Redis.", facts["connected_clients"])
        yield counter("dtq_redis_commands", "Commands that Redis has executed.", facts["total_commands_processed"])


@functools.cache
def _client(url: str) -> Redis:
    redis_index()  # starts the embedded one, where that is configured
    return redis_client(url, timeout_seconds=TIMEOUT_SECONDS, max_connections=2)
