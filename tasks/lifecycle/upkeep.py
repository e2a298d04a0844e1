"""The verbs of upkeep: what is due becomes ready, coming occurrences are released or withdrawn, old rows go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from dtq_site.foundation.database import repeats_lock_conflicts, through_index
from tasks import audit, queues
from tasks.domain.priority import HIGHEST, rank
from tasks.domain.states import MOVES, PROMOTABLE_HOLDS, TERMINAL, Hold, TaskStatus
from tasks.lifecycle import dependencies
from tasks.lifecycle.effects import add_after_commit, follow, follow_ready
from tasks.lifecycle.rows import BULKY, NO_LEASE, assign, chosen_by_key, erase, locked, return_to_line, write
from tasks.models import Queue, Task
from tasks.queue.index import Hint


def promote(now: datetime, limit: int = 1000) -> int:
    """Make PENDING tasks ready that are due and that nothing holds back; returns how many.

    Of more than `limit` those go first that are due first, and every queue has its share.
    """
    lines = [line for line, due in _firsts_in_line().items() if due <= now]
    return _promote(lines, now, max(limit // len(lines), 1)) if lines else 0


class _Due(NamedTuple):
    """What is read of a task to promote it. Very many may be due at once, and a whole row costs several times as much."""

    id: UUID
    queue: str
    name: str
    priority: int
    ready_ms: int
    rank: int
    lease_expires_at: datetime | None


@repeats_lock_conflicts
def _promote(lines: Collection[tuple[Hold, str]], now: datetime, share: int) -> int:
    due = _due(now)
    chosen: list[UUID] = []
    for hold, queue in lines:  # one by one, each is a piece of the index in order
        found = _line(hold).filter(due, queue=queue).order_by("scheduled_at")
        chosen += found.values_list("pk", flat=True)[:share]
    rows = (
        Task.objects.select_for_update().filter(due, pk__in=chosen).order_by("pk")
    )  # locked in the order of all verbs
    tasks = [_Due(*row) for row in rows.values_list(*_Due._fields)]
    if not tasks:
        return 0
    ranks = {task.id: rank(task.priority, task.ready_ms, queues.level_ms(task.queue)) for task in tasks}
    aged_anew = any(ranks[task.id] != task.rank for task in tasks)
    ready: dict[str, Any] = {"status": TaskStatus.QUEUED, "hold": Hold.NONE, "queued_at": now, "updated_at": now}
    ready |= {"rank": chosen_by_key("rank", ranks)} if aged_anew else {}
    if Task.objects.filter(due, pk__in=ranks).update(**ready, version=F("version") + 1) != len(tasks):
        raise RuntimeError("locked tasks escaped their guard")
    cancelled_before = [task.id for task in tasks if task.lease_expires_at is not None]
    if cancelled_before:  # of the others an attempt that was lost may still be reported
        Task.objects.filter(pk__in=cancelled_before).update(**NO_LEASE)
    follow_ready([Hint(ranks[task.id], task.id, task.queue, task.name) for task in tasks])
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
    return min(_firsts_in_line().values(), default=None)


def _firsts_in_line() -> dict[tuple[Hold, str], datetime]:
    """When the first task is due that waits for a moment, for each kind of waiting and each queue."""
    holds = sorted(PROMOTABLE_HOLDS)
    firsts = [_line(hold).filter(queue=OuterRef("name")).order_by("scheduled_at") for hold in holds]
    rows = Queue.objects.values_list("name", *(Subquery(first.values("scheduled_at")[:1]) for first in firsts))
    return {
        (hold, queue): due for queue, *dues in rows for hold, due in zip(holds, dues, strict=True) if due is not None
    }


def _line(hold: Hold) -> QuerySet[Task]:
    return through_index(Task.objects.filter(hold=hold), "task_due_in_queue")


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


class Removed(NamedTuple):
    """How many tasks were removed, and whether there may be more."""

    count: int
    may_be_more: bool


@repeats_lock_conflicts
def remove_ended(statuses: Collection[TaskStatus], before: datetime, limit: int, now: datetime) -> Removed:
    """Delete tasks that ended before a moment, a chunk at a time.

    Those stay of which others depend that have not ended, cancelled ones whose attempt may still run, and the cancelled
    occurrence of a schedule until it would have been due: without it the schedule would make it anew.
    """
    # Its end is the last change of a task, and the changes stand in an index.
    old = Q(status__in=TERMINAL.intersection(statuses), updated_at__lt=before, completed_at__lt=before)
    old &= Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    old &= Q(schedule_id=None) | Q(scheduled_at=None) | Q(scheduled_at__lte=now)
    chosen = list(Task.objects.filter(old & ~dependencies.is_needed()).values_list("pk", flat=True)[:limit])
    rows = locked(chosen, old, without=BULKY)
    needed = dependencies.needed(rows)  # by tasks that were created or retried meanwhile
    found = [task.pk for task in rows if task.pk not in needed]
    audit.forget(found)
    dependencies.forget(found)
    return Removed(erase(Task.objects.filter(old, pk__in=found)), may_be_more=len(chosen) == limit)
