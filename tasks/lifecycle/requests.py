"""The verbs that people ask for: cancel, retry, update, delete, the first two also of many tasks at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from dtq_site.foundation.database import repeats_lock_conflicts, through_index
from dtq_site.foundation.errors import Conflict
from tasks import audit, events, limit_line, queues
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.events import Change
from tasks.lifecycle import dependencies
from tasks.lifecycle.effects import add_after_commit, drop_after_commit, follow, hint_of
from tasks.lifecycle.limiting import holds_places
from tasks.lifecycle.locking import follow_cancellation, follow_change, let_locks_end
from tasks.lifecycle.rows import (
    NO_LEASE,
    PLACE,
    assign,
    ending_of,
    erase,
    lease_of,
    make_ready_or_wait,
    place,
    require,
    the,
    write,
)
from tasks.models import Task


@repeats_lock_conflicts
def cancel(task_id: UUID, now: datetime) -> Task:
    """End a task that has not ended. A running one is CANCELLED at once; its worker learns with its next renewal.

    Cancelling a cancelled task returns it. Raises NotFound, or Conflict for any other task that has ended.
    """
    task = the(task_id)
    if task.status == TaskStatus.CANCELLED:
        return task
    require(task, "cancel", "has ended already")
    _cancel([task], now)
    return task


@repeats_lock_conflicts
def cancel_all(task_ids: Collection[UUID], wanted: Q, now: datetime) -> int:
    """Cancel those of the tasks that have not ended and are still as wanted; returns how many."""
    tasks = _locked_by_key(task_ids, wanted & Q(status__in=MOVES["cancel"].sources))
    _cancel(tasks, now)
    return len(tasks)


def _cancel(tasks: Sequence[Task], now: datetime) -> None:
    ready = [task for task in tasks if task.status == TaskStatus.QUEUED]
    running = [task for task in tasks if task.status == TaskStatus.PROCESSING]
    endings = [ending_of(task, lease_of(task), "cancelled", "") for task in running]
    hints = [hint_of(task) for task in ready]
    limited = [task.pk for task in tasks if task.hold == Hold.LIMIT]
    for task in tasks:
        # By the attempt that runs, or by one that was cancelled before a retry.
        held = task.lease_expires_at is not None
        lease = {"held_until": None} if held else NO_LEASE
        assign(task, now, status=TaskStatus.CANCELLED, hold=Hold.NONE, completed_at=now, **lease)
    columns = ["completed_at", "lease_owner", "claim_id", "lease_expires_at"]
    write(tasks, Q(status__unindexed__in=MOVES["cancel"].sources), columns)
    audit.record_endings(endings, now)
    for task in tasks:
        let_locks_end(task)
    if limited:
        limit_line.leave_line(limited)
    drop_after_commit(hints)
    children = dependencies.follow_ends(tasks, now)
    follow([*tasks, *children, *follow_cancellation(tasks, ready, now)])


@repeats_lock_conflicts
def reassign(task_id: UUID, now: datetime) -> Task:
    """Keep a task no longer for its worker beyond its lease: once that has ended the task is taken back like any other.

    Raises NotFound, or Conflict if it is not kept for any.
    """
    task = the(task_id)
    if task.held_until is None:
        raise Conflict("No worker that is cut off holds this task.", status=task.status)
    assign(task, now, held_until=None)
    write([task], Q(status__unindexed=TaskStatus.PROCESSING, held_until__isnull=False), [])
    events.publish_after_commit(Change.UPDATED, [task_id])
    return task


@repeats_lock_conflicts
def retry(task_id: UUID, now: datetime) -> Task:
    """Run an ended task again, now, with all its attempts anew; one that depends on others that have not completed waits for
    these. Raises NotFound, or Conflict from another state or if one of these was deleted.
    """
    task = the(task_id)
    require(task, "retry", "is not FAILED, DEAD_LETTER or CANCELLED")
    for parent_id in dependencies.parents_gone([task]).values():
        raise Conflict(
            f"Task {parent_id}, on which it depends, was deleted and had not completed for it; create the task anew.",
            status=task.status,
        )
    _retry([task], now)
    return task


@repeats_lock_conflicts
def retry_all(task_ids: Collection[UUID], wanted: Q, now: datetime) -> int:
    """Run those of the tasks again that have ended, but for completed ones and those that depend on deleted ones, and are still
    as wanted; returns how many.
    """
    ended = _locked_by_key(task_ids, wanted & Q(status__in=MOVES["retry"].sources))
    refused = dependencies.parents_gone(ended)
    tasks = [task for task in ended if task.pk not in refused]
    _retry(tasks, now)
    return len(tasks)


def _retry(tasks: Sequence[Task], now: datetime) -> None:
    unmet = dependencies.with_unmet_needs(tasks)
    for task in tasks:
        task.earlier_attempts, task.failures, task.lost_leases = task.attempts, 0, 0
        task.scheduled_at = now
        if task.pk in unmet:
            dependencies.wait_anew(task, now)
        else:
            make_ready_or_wait(task, now, now)
        assign(task, now, error="", result=None, progress=None, started_at=None, completed_at=None)
    columns = ["earlier_attempts", "failures", "lost_leases", "scheduled_at", *PLACE, "queued_at", "error", "result"]
    columns += ["progress", "started_at", "completed_at"]
    write(tasks, Q(status__unindexed__in=MOVES["retry"].sources), columns)
    dependencies.move_on({task.pk: task for task in tasks if task.pk in unmet}, now)
    follow(tasks)


def _locked_by_key(task_ids: Collection[UUID], guard: Q) -> list[Task]:
    """As `locked`, for guards that other indexes could serve too: they would lead to rows of others."""
    rows = through_index(Task.objects.select_for_update().filter(guard, pk__in=task_ids), "PRIMARY")
    return list(rows.order_by("pk"))


_COUNTED = frozenset({"queue", "limit_key"})
"""What says for which limits a task counts."""

_JUDGED = _COUNTED | {"priority"}
"""That, and what decides about its place in line: a change has it judged anew."""


@repeats_lock_conflicts
def update(task_id: UUID, changes: Mapping[str, Any], now: datetime, user_id: UUID | None = None) -> Task:
    """Change checked columns of a task that has not started. Raises NotFound, or Conflict once it has.

    `user_id` is who asks for it, if it is an account: a queue that is new counts against the share of the task's team.
    A new `scheduled_at` in the future makes a QUEUED task wait again; one in the past makes a waiting task ready.
    """
    task = the(task_id)
    require(task, "update", "has started or ended; only a PENDING or QUEUED one can be changed")
    if task.hold == Hold.SCHEDULE:
        raise Conflict("This task is the coming occurrence of a schedule; change the schedule instead.")
    if holds_places(task, now) and _COUNTED & changes.keys():
        raise Conflict(
            "The attempt that was cancelled before may still run, and counts for the limits of its queue and payload; "
            "change these once its worker has stopped."
        )
    queue = changes.get("queue", task.queue)
    queues.ensure([queue], now, {queue: queues.Asker(task.team_id, user_id)})
    before, waited_for, lock, hint = task.status, task.hold, task.lock, hint_of(task)
    assign(task, now, **changes)
    if (waited_for == Hold.LOCK and task.lock != lock) or (waited_for == Hold.LIMIT and _JUDGED & changes.keys()):
        assign(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE, queued_at=now)
    if task.lease_expires_at is None:  # what the holder of a lost lease has run is no longer what is asked for
        assign(task, now, **NO_LEASE)
    place(task, task.ready_ms)
    due = max(task.scheduled_at or now, now)
    if task.hold != Hold.DEPENDENCY and "scheduled_at" in changes and (due > now or before == TaskStatus.PENDING):
        make_ready_or_wait(task, due, now)
    columns = [*changes, *PLACE, "queued_at"]
    write([task], Q(status__unindexed__in=MOVES["update"].sources), columns)
    if waited_for == Hold.LIMIT and task.hold != Hold.LIMIT:
        limit_line.leave_line([task.pk])
    drop_after_commit([hint] if before == TaskStatus.QUEUED else [])
    woken = follow_change(task, before, waited_for, lock, now)
    moved = task.status != before
    follow([*([task] if moved else []), *woken])
    add_after_commit([task])
    events.publish_after_commit(Change.UPDATED, [] if moved else [task_id])
    return task


@repeats_lock_conflicts
def delete(task_id: UUID, now: datetime) -> None:
    """Remove a task that has ended, with all that is remembered of it.

    Raises NotFound, or Conflict before its end, while an attempt of it holds places and while tasks that depend on it have not
    ended.
    """
    task = the(task_id)
    require(task, "delete", "has not ended; cancel it first")
    if holds_places(task, now):
        raise Conflict(
            "Its worker has not acknowledged that it was cancelled, so it still counts for limits.", status=task.status
        )
    if dependencies.needed([task]):
        raise Conflict("Tasks that depend on it have not ended; cancel them first.", status=task.status)
    audit.forget([task_id])
    dependencies.forget([task_id])
    erase(Task.objects.filter(pk=task_id, status__in=MOVES["delete"].sources))
