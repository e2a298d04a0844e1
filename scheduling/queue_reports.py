"""How long each queue is and how long its oldest task has been waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks import selectors as tasks
from tasks.domain.states import TaskStatus


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
    oldest = tasks.oldest_ready(queues)
    return [
        QueueReport(
            queue.name,
            queue.paused,
            counts[queue.name, TaskStatus.QUEUED],
            counts[queue.name, TaskStatus.PROCESSING],
            oldest_seconds(oldest.get(queue.name), now),
        )
        for queue in queues
    ]


def oldest_seconds(since: datetime | None, now: datetime) -> float:
    """How long a task has waited that has been ready `since` then; 0 for none."""
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)
