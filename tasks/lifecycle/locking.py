"""Locks in the life of a task: a claim takes the one that the task names, whatever ends the lease frees it, and who waits
for it moves up. `tasks/locks.py` has the rows.

A task that may not have its lock leaves the line as PENDING, keeps its place, and stands in the lock's own line. Freeing a
lock makes the first of that line ready in the same transaction. That is a hint, not a right: the next claim of any task
with that lock may take it, and the woken one then stands in line again. So a lock can be free while tasks wait for it only
because the one that was woken has not been claimed; `hand_over` wakes another one then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput
from tasks import locks
from tasks.announced import declared_defaults
from tasks.domain.lease import Lease
from tasks.domain.locks import Holder, LockAnswer, LockVerdict, fill
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.lifecycle.claims import ClaimedTask
from tasks.lifecycle.effects import drop_after_commit, follow, hint_of
from tasks.lifecycle.rows import (
    NO_LEASE,
    assign,
    bearing,
    borne,
    chosen_by_key,
    locked,
    return_to_line,
    write,
)
from tasks.lock_bell import lock_bell
from tasks.models import NamedLock, Task

_WAITS = Q(status__in=MOVES["wake"].sources, hold=Hold.LOCK)


# --- taking --------------------------------------------------------------------------------------------------------


def wants_lock(task: ClaimedTask) -> bool:
    """Whether a claimed task names a lock, or its handler's declaration may."""
    return task.lock is not None or declared_defaults(task.name).lock is not None


def take_named(won: Sequence[ClaimedTask], now: datetime) -> tuple[list[ClaimedTask], list[ClaimedTask]]:
    """Take for claimed tasks the locks that they name: those that may run, and those that now wait for their lock."""
    _name_late(won)
    wanting = [task for task in won if task.lock is not None]
    if not wanting:
        return list(won), []
    rows = locks.opened({task.lock for task in wanting}, now)
    takers: dict[str, ClaimedTask] = {}
    for task in wanting:
        if task.lock not in takers and locks.is_free(rows[task.lock], now):
            takers[task.lock] = task
    numbers = locks.take({name: (rows[name], holder_of(task)) for name, task in takers.items()}, now)
    for name, task in takers.items():
        task.lock_fencing_number = numbers[name]
    waiting = [task for task in wanting if takers.get(task.lock) is not task]
    _write_numbers(takers.values())
    _park(waiting, now)
    parked = {task.pk for task in waiting}
    return [task for task in won if task.pk not in parked], waiting


def _name_late(won: Sequence[ClaimedTask]) -> None:
    """Name the locks of tasks that were created before any worker had announced that their handler has one.

    One whose payload cannot fill the template is left to its worker, which discards it.
    """
    templates = {name: template for name in {task.name for task in won} if (template := declared_defaults(name).lock)}
    late = [task for task in won if task.lock is None and task.name in templates]
    for task in late:
        try:
            task.lock = fill(templates[task.name], task.payload)
        except BadInput:
            continue
    named = {task.pk: task.lock for task in late if task.lock is not None}
    if named:
        Task.objects.filter(pk__in=named).update(lock=chosen_by_key("lock", named))


def _write_numbers(takers: Collection[ClaimedTask]) -> None:
    numbers = {task.pk: task.lock_fencing_number for task in takers}
    if numbers:
        Task.objects.filter(pk__in=numbers).update(lock_fencing_number=chosen_by_key("lock_fencing_number", numbers))


def _park(tasks: Sequence[ClaimedTask], now: datetime) -> None:
    """Have claimed tasks wait for their locks, as if they had not been claimed but for their tokens."""
    if not tasks:
        return
    Task.objects.filter(pk__in=[task.pk for task in tasks], status__unindexed__in=MOVES["park"].sources).update(
        status=TaskStatus.PENDING,
        hold=Hold.LOCK,
        attempts=F("attempts") - 1,
        version=F("version") + 1,
        queued_at=None,
        started_at=None,
        updated_at=now,
        **NO_LEASE,
    )
    locks.stand_in_line([(task.pk, task.lock, task.rank) for task in tasks])
    for task in tasks:
        task.status = TaskStatus.PENDING


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


def holder_of(task: Task | ClaimedTask) -> Holder:
    """The attempt that the row bears."""
    return Holder(task.pk, task.fencing_token)


def holders_among(tasks: Iterable[Task]) -> list[Holder]:
    """The attempts that have taken locks. To be asked before their lease is taken off the rows."""
    return [holder_of(task) for task in tasks if task.lock_fencing_number]


def free_all(holders: Collection[Holder], now: datetime) -> list[Task]:
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
    hints = [hint_of(task) for task in woken]
    for task in woken:
        assign(task, now, queued_at=now)
    write(woken, _WAITS, return_to_line(woken, now))
    # The claim that parked a task may not have confirmed its hand-over yet: an entry in flight would make the index pass over it.
    drop_after_commit(hints)
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
