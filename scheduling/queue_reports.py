"""How long each queue is and how long its oldest task has been waiting, read off the index of the line alone.

A line may have a million tasks, so none of this looks at all of them to find the oldest: where priority is strict, the
oldest of each priority is the first of its stretch of the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, QuerySet

from dtq_site.foundation.clock import from_milliseconds
from tasks import selectors as tasks
from tasks.domain.priority import HIGHEST, level_ms
from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task


@dataclass(frozen=True)
class QueueReport:
    """One queue; `oldest_seconds` is 0 if nothing waits."""

    name: str
    paused: bool
    depth: int
    processing: int
    oldest_seconds: float


def reports(now: datetime) -> list[QueueReport]:
    """All queues, by name."""
    queues = tasks.queues()
    counts = tasks.queue_counts([queue.name for queue in queues])
    return [
        QueueReport(
            queue.name,
            queue.paused,
            counts[queue.name, TaskStatus.QUEUED],
            counts[queue.name, TaskStatus.PROCESSING],
            oldest_seconds(queue, now),
        )
        for queue in queues
    ]


def oldest_seconds(queue: Queue, now: datetime) -> float:
    """How long the task has been ready that waits longest in the queue."""
    line = Task.objects.filter(queue=queue.name, status=TaskStatus.QUEUED)
    if queue.ageing_seconds is None:
        oldest = min(_firsts_of_priorities(line.order_by("rank", "id")), default=None)
    else:
        oldest = line.aggregate(oldest=Min("ready_ms"))["oldest"]
    return 0.0 if oldest is None else max((now - from_milliseconds(oldest)).total_seconds(), 0.0)


def _firsts_of_priorities(line: QuerySet[Task]) -> Iterator[int]:
    """Since when the first task of each priority has been ready: one step by the index for each that the line has."""
    least, level = 0, level_ms(None)
    while first := line.filter(rank__gte=least).values_list("priority", "ready_ms", "rank").first():
        priority, ready_ms, rank = first
        yield ready_ms
        least = max(
            (HIGHEST - priority + 1) * level, rank + 1
        )  # a place given by an ageing that has ended lies elsewhere
