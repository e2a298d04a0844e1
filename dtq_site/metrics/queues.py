"""How the queues stand now. Of a long line only the beginning is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import Metric

from dtq_site.metrics.families import gauge, gauges
from scheduling import samples
from scheduling.queue_reports import oldest_seconds
from tasks import limit_line
from tasks import selectors as tasks
from tasks.domain.states import TaskStatus
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost

MOST_COUNTED = 5_000
"""How many rows of a queue in a state are counted. Of a longer line the dispatch index tells the length."""


def families(now: datetime) -> Iterator[Metric]:
    """All of them, for every queue."""
    rows = tasks.queues()
    names = [queue.name for queue in rows]
    counts = tasks.counts_up_to(MOST_COUNTED)
    ready = tasks.oldest_ready(rows)

    def counted(status: TaskStatus) -> dict[str, float]:
        return {name: counts[name, status] for name in names}

    depths = _depths(counted(TaskStatus.QUEUED))
    oldest = {name: oldest_seconds(ready.get(name), now) for name in names}
    paused = {queue.name: int(queue.paused) for queue in rows}
    limited = limit_line.count(MOST_COUNTED)
    for name, text, values in (
        ("dtq_queue_depth", "Ready tasks of a queue.", depths),
        ("dtq_queue_oldest_seconds", "How long the oldest ready task of a queue has been waiting.", oldest),
        ("dtq_queue_paused", "Whether a queue is paused.", paused),
        ("dtq_queue_processing", _bounded("Tasks of a queue that are being processed"), counted(TaskStatus.PROCESSING)),
        ("dtq_queue_dead_letters", _bounded("Dead letters of a queue"), counted(TaskStatus.DEAD_LETTER)),
    ):
        yield gauges(name, text, "queue", values)
    yield gauges("dtq_tasks_limited", _bounded("Tasks that wait for a limit"), "kind", limited)
    yield gauge("queue_size", "Ready tasks of all queues.", sum(depths.values()))
    yield gauge("tasks_active", "Tasks that are being processed.", tasks.active())


def _bounded(text: str) -> str:
    return f"{text}; at most {MOST_COUNTED} are counted."


def _depths(counted: Mapping[str, float]) -> dict[str, float]:
    long = [name for name, count in counted.items() if count >= MOST_COUNTED]
    sampled: Mapping[str, float] | None = None
    depths = dict(counted)
    for name in long:
        indexed = _indexed(name)
        if indexed is None:
            sampled = samples.last_depths() if sampled is None else sampled
            indexed = sampled.get(name, 0)
        depths[name] = max(indexed, MOST_COUNTED)
    return depths


def _indexed(queue: str) -> int | None:
    """How long the dispatch index says the line is; None if it is not there, or not whole."""
    try:
        depth = redis_index().depth(queue)
        return depth if redis_index().is_whole(queue) else None
    except IndexLost:
        return None
