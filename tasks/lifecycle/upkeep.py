"""The verbs of upkeep: what is due becomes ready, coming occurrences are released or withdrawn, old rows go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q

from dtq_site.foundation.database import repeats_lock_conflicts
from tasks import audit
from tasks.domain.priority import HIGHEST
from tasks.domain.states import MOVES, PROMOTABLE_HOLDS, TERMINAL, Hold, TaskStatus
from tasks.lifecycle import dependencies
from tasks.lifecycle.effects import add_after_commit, follow
from tasks.lifecycle.rows import assign, erase, forget_cancelled_attempt, locked, return_to_line, write
from tasks.models import Task


@repeats_lock_conflicts
def promote(now: datetime, limit: int = 1000) -> int:
    """Make PENDING tasks ready that are due and that nothing holds back; returns how many."""
    due = _due(now)
    chosen: list[UUID] = []
    for hold in sorted(PROMOTABLE_HOLDS):  # one by one, each is a piece of the index in order
        found = Task.objects.filter(due, hold=hold).order_by("scheduled_at").values_list("pk", flat=True)
        chosen += found[: limit - len(chosen)]
    tasks = locked(chosen, due)
    for task in tasks:
        forget_cancelled_attempt(task, now)
        assign(task, now, queued_at=now)
    write(tasks, due, return_to_line(tasks, now))
    follow(tasks)
    return len(tasks)


@repeats_lock_conflicts
def rerank(queue: str, task_ids: Sequence[UUID], level_ms: int) -> int:
    """Give ready tasks of a queue the places that its ageing asks for; returns how many were still ready.

    Nothing that anybody watches changes, so their versions stay.
    """
    ready = Task.objects.filter(pk__in=task_ids, status=TaskStatus.QUEUED, queue=queue)
    ready.update(rank=F("ready_ms") + (HIGHEST - F("priority")) * level_ms)
    tasks = ready.only("id", "status", "rank", "queue", "name")  # now locked
    add_after_commit(list(tasks))
    return len(tasks)


def next_due() -> datetime | None:
    """When the next waiting task is due, or None if none waits for a moment."""
    waiting = Task.objects.filter(status=TaskStatus.PENDING).order_by("scheduled_at")
    firsts = [waiting.filter(hold=hold).values_list("scheduled_at", flat=True).first() for hold in PROMOTABLE_HOLDS]
    return min((first for first in firsts if first is not None), default=None)


def _due(now: datetime) -> Q:
    # A cancelled task that was retried must not run beside the worker that has not heard of it yet.
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    return Q(status__in=MOVES["promote"].sources, hold__in=PROMOTABLE_HOLDS, scheduled_at__lte=now) & free


@repeats_lock_conflicts
def release_occurrence(task_id: UUID, now: datetime) -> bool:
    """Make the coming occurrence of a schedule ready; False if it is none (any more), as after its cancellation."""
    guard = Q(status=TaskStatus.PENDING, hold=Hold.SCHEDULE)
    tasks = locked([task_id], guard)
    for task in tasks:
        assign(task, now, queued_at=now)
    write(tasks, guard, return_to_line(tasks, now))
    follow(tasks)
    return bool(tasks)


@repeats_lock_conflicts
def withdraw_occurrence(task_id: UUID) -> bool:
    """Remove the coming occurrence of a schedule, its idempotency key with it; False if it is none (any more)."""
    guard = Q(status__in=MOVES["withdraw"].sources, hold=Hold.SCHEDULE)
    if not locked([task_id], guard):
        return False
    audit.forget([task_id])
    return bool(erase(Task.objects.filter(guard, pk=task_id)))


@repeats_lock_conflicts
def remove_ended(statuses: Collection[TaskStatus], before: datetime, limit: int) -> int:
    """Delete tasks that ended before a moment, a chunk at a time, but for those of which others depend that have not ended;
    returns how many.
    """
    # Its end is the last change of a task, and the changes stand in an index.
    old = Q(status__in=TERMINAL.intersection(statuses), updated_at__lt=before, completed_at__lt=before)
    chosen = list(Task.objects.filter(old & ~dependencies.is_needed()).values_list("pk", flat=True)[:limit])
    rows = locked(chosen, old)
    needed = dependencies.needed(rows)  # by tasks that were created or retried meanwhile
    found = [task.pk for task in rows if task.pk not in needed]
    audit.forget(found)
    dependencies.forget(found)
    return erase(Task.objects.filter(old, pk__in=found))
