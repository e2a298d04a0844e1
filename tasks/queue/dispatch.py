"""This process's dispatch indexes, made when first needed."""

from __future__ import annotations

import functools

from django.conf import settings

from dtq_site.foundation import embedded_redis
from dtq_site.foundation.redis_clients import redis_client
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.redis_index import RedisIndex

HINT_TIMEOUT_SECONDS = 0.05
PATIENT_TIMEOUT_SECONDS = 5.0

database_index = DatabaseIndex()


@functools.cache
def redis_index() -> RedisIndex:
    """The index in Redis; the first process that asks starts the embedded Redis, where that is configured."""
    if settings.REDIS_IS_EMBEDDED:
        embedded_redis.hold(settings.EMBEDDED_REDIS_FOLDER)
    return RedisIndex(
        redis_client(settings.REDIS_URL, timeout_seconds=HINT_TIMEOUT_SECONDS),
        redis_client(settings.REDIS_URL, timeout_seconds=PATIENT_TIMEOUT_SECONDS),
    )
