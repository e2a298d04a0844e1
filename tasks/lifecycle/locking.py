"""Locks in the life of a task: a claim takes the one that the task names (`admission.py`), whatever ends the lease frees it,
and who waits for it moves up. `tasks/locks.py` has the rows.

Freeing a lock makes the first of its line ready in the same transaction. That is a hint, not a right: the next claim of any
task with that lock may take it, and the woken one then stands in line again. So a lock can be free while tasks wait for it
only because the one that was woken has not been claimed; `hand_over` wakes another one then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from dtq_site.foundation.database import repeats_lock_conflicts
from tasks import locks
from tasks.domain.lease import Lease
from tasks.domain.locks import Holder, LockAnswer, LockVerdict
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.lifecycle.effects import follow
from tasks.lifecycle.rows import bearing, borne, locked
from tasks.lifecycle.waking import make_awaited_ready
from tasks.lock_bell import lock_bell
from tasks.models import NamedLock, Task

_WAITS = Q(status__in=MOVES["wake"].sources, hold=Hold.LOCK)


# --- taking --------------------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def take_lock(lease: Lease, name: str, now: datetime) -> LockAnswer:
    """Take a lock for a running attempt, which holds it until `free_lock` or the end of its lease.

    Taking what it holds already changes nothing. Raises BadInput for what can be no lock's name.
    """
    running = [task for task in borne([lease]).values() if task.status == TaskStatus.PROCESSING]
    if not running:
        return LockAnswer(LockVerdict.LOST)
    lock = locks.opened([name], now)[name]
    holder = Holder(lease.task_id, lease.fencing_token)
    if (lock.holder_id, lock.holder_token) == (holder.task_id, holder.fencing_token):
        return LockAnswer(LockVerdict.TAKEN, lock.fencing_number)
    if not locks.is_free(lock, now):
        return LockAnswer(LockVerdict.BUSY)
    number = locks.take({name: (lock, holder)}, now)[name]
    Task.objects.filter(bearing([lease])).update(lock_fencing_number=number)
    return LockAnswer(LockVerdict.TAKEN, number)


# --- freeing -------------------------------------------------------------------------------------------------------


def holder_of(task: Task) -> Holder:
    """The attempt that the row bears."""
    return Holder(task.pk, task.fencing_token)


def lock_holders_among(tasks: Iterable[Task]) -> list[Holder]:
    """The attempts that have taken locks. To be asked before their lease is taken off the rows."""
    return [holder_of(task) for task in tasks if task.lock_fencing_number]


def free_locks_of(holders: Collection[Holder], now: datetime) -> list[Task]:
    """Free all that these attempts hold; returns the tasks that are ready now in their place, for `follow`."""
    return _free(list(locks.held_by(holders)), now) if holders else []


@repeats_lock_conflicts
def free_lock(lease: Lease, name: str, now: datetime) -> bool:
    """Free one lock of an attempt before its end; False if it does not hold it (any more)."""
    lock = locks.opened([name], now)[name]
    if (lock.holder_id, lock.holder_token) != (lease.task_id, lease.fencing_token):
        return False
    follow(_free([name], now))
    return True


@repeats_lock_conflicts
def hand_over(names: Collection[str], now: datetime) -> int:
    """Wake the first that waits for each of these locks that is free; returns how many were woken.

    Frees what has ended by itself, and what is held in the name of an attempt that is over: that would be a defect. Locks
    that are held are only looked at.
    """
    idle = _idle(locks.peeked(names).values(), now)
    woken = _wake_if_free(idle, now)
    follow(woken)
    return len(woken)


def _wake_if_free(names: Collection[str], now: datetime) -> list[Task]:
    rows = locks.opened(names, now)
    idle = _idle(rows.values(), now)
    return [
        *_free([name for name in idle if rows[name].holder_id is not None], now),
        *_wake([name for name in idle if rows[name].holder_id is None], now),
    ]


def _idle(rows: Collection[NamedLock], now: datetime) -> list[str]:
    """The names of those that no attempt holds, whatever their rows say."""
    running = Task.objects.filter(
        pk__in=[lock.holder_id for lock in rows if lock.holder_id], status=TaskStatus.PROCESSING
    )
    held = {Holder(*row) for row in running.values_list("pk", "fencing_token")}

    def is_over(lock: NamedLock) -> bool:
        return lock.ends_at is None and Holder(lock.holder_id, lock.holder_token) not in held

    return [lock.name for lock in rows if locks.is_free(lock, now) or is_over(lock)]


def _free(names: Collection[str], now: datetime) -> list[Task]:
    if not names:
        return []
    locks.free(names, now)
    transaction.on_commit(lambda: lock_bell().ring(names), robust=True)
    return _wake(names, now)


def _wake(names: Collection[str], now: datetime) -> list[Task]:
    """Make the first task ready that waits for each of these locks, whose rows are locked."""
    woken: list[Task] = []
    remaining = set(names)
    while remaining and (firsts := locks.first_in_line(remaining)):
        found = locked(firsts, _WAITS)
        locks.leave_line(firsts)  # those that were not found have been cancelled or changed meanwhile: the next may go
        woken += found
        remaining -= {task.lock for task in found}
    make_awaited_ready(woken, _WAITS, now)
    return woken


# --- changes by others ---------------------------------------------------------------------------------------------


def let_locks_end(task: Task) -> None:
    """The lease of this locked row is renewed no more, for it is being cancelled: its locks end with it."""
    if task.lock_fencing_number and task.lease_expires_at is not None:
        locks.let_end(holder_of(task), task.lease_expires_at)


def follow_cancellation(tasks: Collection[Task], ready: Collection[Task], now: datetime) -> list[Task]:
    """After these locked rows have been cancelled: they wait for no lock any more.

    Those that were `ready` may have been woken for a free lock; then others are woken in their place. Returns what was woken,
    for `follow`.
    """
    awaiting = [task.pk for task in tasks if task.lock is not None]
    if awaiting:
        locks.leave_line(awaiting)
    free = {task.lock for task in ready if task.lock is not None}
    return _wake_if_free(free, now) if free else []


def follow_change(
    task: Task, status_before: str, hold_before: str, lock_before: str | None, now: datetime
) -> list[Task]:
    """After a request has changed a row: keep its place in the line of its lock, or give it up.

    A task that was ready may have been the one that was woken for a free lock; if it is that no more, another one is woken
    in its place. Returns what was woken, for `follow`.
    """
    if hold_before == Hold.LOCK:
        if task.hold == Hold.LOCK:
            locks.change_place(task.pk, task.rank)
        else:
            locks.leave_line([task.pk])
        return []
    was_ready_for_it = status_before == TaskStatus.QUEUED and lock_before is not None
    is_so_still = task.status == TaskStatus.QUEUED and task.lock == lock_before
    return _wake_if_free([lock_before], now) if was_ready_for_it and not is_so_still else []
