"""The tasks of a schedule: made for a slot, released, withdrawn. It writes no schedule; `schedules.py` says when.

An occurrence's idempotency key names schedule and slot. That key, not a lock, is what makes one task per slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import ids
from dtq_site.foundation.errors import Conflict, NotFound
from scheduling.definition import TASK_COLUMNS
from scheduling.models import Schedule
from tasks import lifecycle
from tasks.announced import declared_key, declared_lock
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.domain.submission import NewTask, TaskSpec
from tasks.models import Task


def task_ids(schedule: Schedule, slots: Iterable[datetime]) -> dict[datetime, UUID]:
    """For each slot a new id, or that of the task which it has had.

    That may be one that an operator cancelled, or one that was released before a clock went back.
    """
    keys = {_key(schedule, slot): slot for slot in slots}
    had = Task.objects.filter(team_id=schedule.team_id, idempotency_key__in=keys)
    found = {keys[key]: task_id for key, task_id in had.values_list("idempotency_key", "pk")}
    return dict(zip(keys.values(), ids.new(len(keys)), strict=True)) | found


def make_coming(schedule: Schedule, now: datetime) -> Task | None:
    """The waiting task of the coming slot, made unless it is there; None if no slot is to come."""
    if schedule.next_slot is None or schedule.coming_task_id is None:
        return None
    if had := Task.objects.filter(pk=schedule.coming_task_id).first():
        return had
    timed = {"scheduled_at": schedule.next_due, "idempotency_key": _key(schedule, schedule.next_slot)}
    new = replace(_new_task(schedule, **timed), hold=Hold.SCHEDULE)
    return lifecycle.create([new], now, [schedule.coming_task_id])[0]


def release(schedule: Schedule, task_ids: Mapping[datetime, UUID], now: datetime) -> None:
    """Make the tasks of these slots ready: that of the coming slot if it still waits, others if they are not there."""
    others = {slot: task_id for slot, task_id in task_ids.items() if slot != schedule.next_slot}
    if len(others) < len(task_ids) and schedule.coming_task_id is not None:
        lifecycle.release_occurrence(schedule.coming_task_id, now)
    if others:
        there = Task.objects.in_bulk(others.values())
        new = {slot: task_id for slot, task_id in others.items() if task_id not in there}
        tasks = [_new_task(schedule, scheduled_at=slot, idempotency_key=_key(schedule, slot)) for slot in new]
        lifecycle.create(tasks, now, list(new.values()))


def run_now(schedule: Schedule, user_id: UUID | None, now: datetime) -> Task:
    """A ready task like those of the schedule, for no slot."""
    return lifecycle.create([replace(_new_task(schedule), user_id=user_id)], now)[0]


def withdraw(schedule: Schedule) -> None:
    """Take the waiting task of the coming slot back, and its key with it."""
    if schedule.coming_task_id is not None:
        lifecycle.withdraw_occurrence(schedule.coming_task_id)


def running(now: datetime) -> Q:
    """Tasks that may still run: those that have not ended, and those whose worker has not heard of the cancellation."""
    unheard = Q(status=TaskStatus.CANCELLED, lease_expires_at__gt=now)
    return Q(status__in=set(TaskStatus) - TERMINAL) | unheard


def last_one_runs(schedule: Schedule, now: datetime) -> bool:
    """Whether the task of the slot that fired last may still run."""
    return Task.objects.filter(running(now), pk=schedule.last_task_id).exists()


def cancel_last(schedule: Schedule, now: datetime) -> None:
    """Call off the task of the slot that fired last, unless it has ended."""
    with suppress(Conflict, NotFound):
        lifecycle.cancel(schedule.last_task_id, now)


def _key(schedule: Schedule, slot: datetime) -> str:
    return f"schedule:{schedule.pk}:{milliseconds(slot) // 1000}"


def _new_task(schedule: Schedule, **timed: Any) -> NewTask:
    columns = {column: getattr(schedule, column) for column in TASK_COLUMNS}
    needs = {
        "lock": declared_lock(schedule.name, schedule.payload, schedule.team_id),
        "limit_key": declared_key(schedule.name, schedule.payload),
    }
    return NewTask(TaskSpec(**columns, **timed, **needs), schedule.team_id, schedule.user_id, schedule_id=schedule.pk)
