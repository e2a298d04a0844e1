"""A line of the log for every move of a task. Only this package imports it.

The moves that every task makes are at the level `debug`, so that they cost nothing unasked; what goes wrong is louder. A line
says which task, attempt and request, and nothing of payloads, results and errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from tasks.domain.states import Hold, TaskStatus
from tasks.lifecycle.claims import ClaimedTask
from tasks.models import Task
from tasks.queue.index import Hint

CREATED, CLAIMED, COMPLETED, READY = "task.created", "task.claimed", "task.completed", "task.ready"
_RETRIED, _PARKED = "task.retried", "task.parked"
_OF_STATUS: Mapping[str, str] = {
    TaskStatus.QUEUED: READY,
    TaskStatus.PROCESSING: CLAIMED,
    TaskStatus.COMPLETED: COMPLETED,
    TaskStatus.FAILED: "task.failed",
    TaskStatus.CANCELLED: "task.cancelled",
    TaskStatus.DEAD_LETTER: "task.dead_lettered",
}
LEVELS = {
    **dict.fromkeys((CREATED, CLAIMED, COMPLETED, READY, _PARKED), "debug"),
    "task.failed": "warning",
    "task.dead_lettered": "warning",
}
_observer = Observer(log_events("dtq.tasks", LEVELS))

Facts = Mapping[str, Any]


def created(tasks: Sequence[Task]) -> None:
    """Tasks have come into being."""
    _tell_after_commit(CREATED, tasks, _facts)


def claimed(tasks: Sequence[ClaimedTask]) -> None:
    """A worker has taken tasks; some of them may have to wait for a limit or a lock instead."""
    for event in (CLAIMED, _PARKED):
        concerned = [task for task in tasks if (task.status == TaskStatus.PROCESSING) == (event == CLAIMED)]
        _tell_after_commit(event, concerned, _facts)


def moved(tasks: Iterable[Task]) -> None:
    """Tasks have entered the states that they are in."""
    by_event: dict[str, list[Task]] = {}
    for task in tasks:
        by_event.setdefault(_event_of(task), []).append(task)
    for event, concerned in by_event.items():
        _tell_after_commit(event, concerned, _facts)


def became_ready(hints: Sequence[Hint]) -> None:
    """Tasks of which no more is at hand have become ready."""
    _tell_after_commit(READY, hints, lambda hint: {"task": str(hint.id), "name": hint.name, "queue": hint.queue})


def completed(task_ids: Collection[UUID]) -> None:
    """Tasks of which only the ids are at hand have completed. Their rows are read if that is worth a line."""
    if _observer.hears(COMPLETED):
        rows = Task.objects.filter(pk__in=task_ids).only("id", "name", "queue", "attempts", "request_id")
        _tell_after_commit(COMPLETED, list(rows), _facts)


def _event_of(task: Task) -> str:
    if task.status == TaskStatus.PENDING:
        return _RETRIED if task.hold == Hold.BACKOFF else _PARKED
    return _OF_STATUS[task.status]


def _facts(task: Task | ClaimedTask) -> Facts:
    facts = {"task": str(task.pk), "name": task.name, "queue": task.queue, "attempt": task.attempts}
    return facts | ({"request_id": task.request_id} if task.request_id else {})


def _tell_after_commit(event: str, concerned: Sequence[Any], facts: Callable[[Any], Facts]) -> None:
    """What is rolled back has not happened."""
    if concerned and _observer.hears(event):
        said = [facts(each) for each in concerned]  # as it is now
        transaction.on_commit(lambda: _tell(event, said), robust=True)


def _tell(event: str, said: Iterable[Facts]) -> None:
    for each in said:
        _observer.emit(event, **each)
