"""Reads about tasks."""

from __future__ import annotations

from django.db.models import Count

from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task


def depths() -> dict[str, int]:
    """How many tasks are ready in each queue, empty ones included."""
    found = dict.fromkeys(Queue.objects.values_list("name", flat=True), 0)
    ready = Task.objects.filter(status=TaskStatus.QUEUED).values("queue").annotate(tasks=Count("id"))
    return found | {row["queue"]: row["tasks"] for row in ready}


def active() -> int:
    """How many tasks are being processed."""
    return Task.objects.filter(status=TaskStatus.PROCESSING).count()


def backlog() -> dict[str, int]:
    """What waits for workers, and what waits for people."""
    return {
        "depth": Task.objects.filter(status=TaskStatus.QUEUED).count(),
        "deadLetter": Task.objects.filter(status=TaskStatus.DEAD_LETTER).count(),
    }
