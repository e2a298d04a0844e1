"""Questions about the lines of many queues at once, in a round trip or two to each server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from tasks.queue import keys
from tasks.queue.redis_index import RedisIndex, mark_of
from tasks.queue.shards import Shard


def with_work(index: RedisIndex, queues: Collection[str], names: Collection[str]) -> frozenset[str]:
    """Those of the queues in which tasks of these names are ready or are handed over, or whose index is not whole.

    Raises IndexLost.
    """
    return index.each(queues, partial(_with_work, sorted(names)))


def idle(index: RedisIndex, queues: Collection[str]) -> frozenset[str]:
    """Those of the queues whose index is whole and holds nothing. Raises IndexLost."""
    return index.each(queues, _idle)


def _with_work(names: Sequence[str], shard: Shard, queues: Sequence[str]) -> list[str]:
    with shard.prompt.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.get(keys.whole(queue))
            pipeline.exists(keys.inflight(queue), *(keys.lane(queue, name) for name in names))
        answers = pipeline.execute()
    looks = zip(queues, answers[::2], answers[1::2], strict=True)
    return [queue for queue, mark, found in looks if found or not str(mark).startswith("whole:")]


def _idle(shard: Shard, queues: Sequence[str]) -> list[str]:
    whole = mark_of(shard.patient)
    with shard.patient.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.get(keys.whole(queue))
            pipeline.smembers(keys.lanes(queue))
        answers = pipeline.execute()
    names = {
        queue: names for queue, mark, names in zip(queues, answers[::2], answers[1::2], strict=True) if mark == whole
    }
    with shard.patient.pipeline(transaction=False) as pipeline:
        for queue in names:
            pipeline.exists(keys.inflight(queue), *(keys.lane(queue, name) for name in names[queue]))
        return [queue for queue, found in zip(names, pipeline.execute(), strict=True) if not found]
