"""Hints for an index in Redis, and its mark."""

from __future__ import annotations

import uuid

from tasks.queue.contents import Contents
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex


def mark_whole(index: RedisIndex) -> None:
    """Have it that all of the queue "default" stands in the index."""
    begin_rebuild(index, "building:here")
    assert index.mark_whole("default", "building:here", index.whole_mark("default"))


def begin_rebuild(index: RedisIndex, mark: str) -> None:
    """Begin to rebuild the line of the queue "default" under this mark."""
    Contents(index, "default").begin_rebuild(mark)


def hint(rank: int = 1, name: str = "job", queue: str = "default") -> Hint:
    """A hint at a new task."""
    return Hint(rank, uuid.uuid4(), queue, name)
