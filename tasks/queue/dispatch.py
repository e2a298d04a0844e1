"""This process's dispatch indexes, made when first needed."""

from __future__ import annotations

import functools

from django.conf import settings

from dtq_site.foundation import embedded_redis
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.redis_index import RedisIndex
from tasks.queue.shards import server_at, shards_at

database_index = DatabaseIndex()


@functools.cache
def redis_index() -> RedisIndex:
    """The index in Redis; the first process that asks starts the embedded Redis, where that is configured."""
    if settings.REDIS_IS_EMBEDDED:
        embedded_redis.hold(settings.EMBEDDED_REDIS_FOLDER)
    return index_at(settings.REDIS_URL, settings.DISPATCH_REDIS_URL)


def index_at(redis_url: str, dispatch_url: str = "") -> RedisIndex:
    """An index with clients of its own; its lines are at the second address, if there is one."""
    return RedisIndex(server_at(redis_url), shards_at(dispatch_url) if dispatch_url else None)
