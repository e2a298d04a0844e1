"""This process's dispatch indexes, made when first needed."""

from __future__ import annotations

import functools

from django.conf import settings

from dtq_site.foundation import embedded_redis
from dtq_site.foundation.redis_clients import redis_client
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.redis_index import RedisIndex

HINT_TIMEOUT_SECONDS = 0.05
PROMPT_TIMEOUT_SECONDS = 0.25
PATIENT_TIMEOUT_SECONDS = 5.0

database_index = DatabaseIndex()


@functools.cache
def redis_index() -> RedisIndex:
    """The index in Redis; the first process that asks starts the embedded Redis, where that is configured."""
    if settings.REDIS_IS_EMBEDDED:
        embedded_redis.hold(settings.EMBEDDED_REDIS_FOLDER)
    return index_at(settings.REDIS_URL)


def index_at(redis_url: str) -> RedisIndex:
    """An index with clients of its own."""
    seconds = (HINT_TIMEOUT_SECONDS, PROMPT_TIMEOUT_SECONDS, PATIENT_TIMEOUT_SECONDS)
    return RedisIndex(*(redis_client(redis_url, timeout_seconds=each) for each in seconds))
