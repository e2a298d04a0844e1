"""The only writer of schedules: making, firing, pausing, deleting. Each is one transaction with what it does to tasks.

An active schedule has exactly one coming occurrence, a PENDING task whose idempotency key names the slot. That key, not a
lock, is what makes one task per slot, with any number of schedulers.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import ids, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, NotFound
from scheduling.domain import cron
from scheduling.models import Schedule
from tasks import lifecycle
from tasks.announced import declared_lock
from tasks.domain.states import Hold
from tasks.domain.submission import NewTask, TaskSpec
from tasks.models import Task
from tasks.recurrence import Recurrence


@repeats_lock_conflicts
def create(spec: TaskSpec, recurrence: Recurrence, team_id: UUID, user_id: UUID | None, now: datetime) -> Task:
    """Make a schedule and return its coming occurrence. Raises BadInput naming ``cronExpression`` or ``timezone``."""
    next_due = _next_due(recurrence.cron_expression, recurrence.timezone, now)
    (schedule_id,) = ids.new()
    schedule = Schedule(
        id=schedule_id,
        team_id=team_id,
        user_id=user_id,
        cron_expression=recurrence.cron_expression.strip(),
        timezone=recurrence.timezone,
        next_due=next_due,
        created_at=now,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        payload=spec.payload,
        queue=spec.queue,
        priority=spec.priority,
        max_retries=spec.max_retries,
        timeout_seconds=spec.timeout_seconds,
    )
    (schedule.coming_task_id,) = ids.new()
    schedule.save(force_insert=True)
    return _make_occurrence(schedule, now)


def due(now: datetime, limit: int = 100, *, besides: Collection[UUID] = ()) -> list[UUID]:
    """The active schedules whose coming slot has come, the longest due first; those named `besides` are passed over."""
    waiting = _active(besides).filter(next_due__lte=now)
    return list(waiting.values_list("pk", flat=True)[:limit])


def next_moment(*, besides: Collection[UUID] = ()) -> datetime | None:
    """When the next slot of any active schedule is due, `besides` those named."""
    moment: datetime | None = _active(besides).values_list("next_due", flat=True).first()
    return moment


def _active(besides: Collection[UUID]) -> QuerySet[Schedule]:
    return Schedule.objects.filter(paused=False, next_due__isnull=False).exclude(pk__in=besides).order_by("next_due")


@repeats_lock_conflicts
def fire(schedule_id: UUID, now: datetime) -> bool:
    """Release the coming occurrence and make the next one; False if there is nothing to fire (any more).

    Slots that passed while nothing ran count as one: the waiting occurrence stands for them all.
    """
    schedule = Schedule.objects.filter(pk=schedule_id, paused=False, next_due__lte=now).first()
    if schedule is None:
        return False
    fired = schedule.coming_task_id
    next_due = _next_due(schedule.cron_expression, schedule.timezone, now)
    coming = _task_id_of(schedule, next_due)
    stepped = Schedule.objects.filter(
        pk=schedule_id, paused=False, next_due=schedule.next_due, revision=schedule.revision
    ).update(next_due=next_due, coming_task_id=coming, last_fired_at=now, revision=F("revision") + 1)
    if not stepped:
        return False
    if fired is not None:
        lifecycle.release_occurrence(fired, now)
    schedule.next_due, schedule.coming_task_id = next_due, coming
    _make_occurrence(schedule, now)
    return True


@repeats_lock_conflicts
def pause(schedule_id: UUID, now: datetime) -> Schedule:
    """Withdraw the coming occurrence and make no more until the schedule is resumed. Raises NotFound."""
    schedule = _the(schedule_id)
    if not schedule.paused:
        _withdraw(schedule)
        schedule.paused, schedule.next_due, schedule.coming_task_id = True, None, None
        _save(schedule)
    return schedule


@repeats_lock_conflicts
def resume(schedule_id: UUID, now: datetime) -> Schedule:
    """Go on from the first slot after now. Raises NotFound."""
    schedule = _the(schedule_id)
    if schedule.paused:
        schedule.paused = False
        schedule.next_due = _next_due(schedule.cron_expression, schedule.timezone, now)
        schedule.coming_task_id = _task_id_of(schedule, schedule.next_due)
        _save(schedule)
        _make_occurrence(schedule, now)
    return schedule


@repeats_lock_conflicts
def delete(schedule_id: UUID) -> None:
    """Remove the schedule and its coming occurrence; tasks that it made stay. Raises NotFound."""
    schedule = _the(schedule_id)
    _withdraw(schedule)
    Schedule.objects.filter(pk=schedule_id).delete()


def _the(schedule_id: UUID) -> Schedule:
    schedule = Schedule.objects.select_for_update().filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(f"There is no schedule {schedule_id}.")
    return schedule


def _save(schedule: Schedule) -> None:
    schedule.revision += 1
    schedule.save(update_fields=["paused", "next_due", "coming_task_id", "revision"])


def _withdraw(schedule: Schedule) -> None:
    if schedule.coming_task_id is not None:
        lifecycle.withdraw_occurrence(schedule.coming_task_id)


def _key(schedule: Schedule, slot: datetime) -> str:
    return f"schedule:{schedule.pk}:{milliseconds(slot) // 1000}"


def _task_id_of(schedule: Schedule, slot: datetime) -> UUID:
    """A new id, or that of the task which the slot has had: cancelled by an operator, or fired before a clock went back."""
    had = Task.objects.filter(team_id=schedule.team_id, idempotency_key=_key(schedule, slot))
    return had.values_list("pk", flat=True).first() or ids.new()[0]


def _make_occurrence(schedule: Schedule, now: datetime) -> Task:
    assert schedule.next_due is not None and schedule.coming_task_id is not None
    if had := Task.objects.filter(pk=schedule.coming_task_id).first():
        return had
    spec = TaskSpec(
        name=schedule.name,
        title=schedule.title,
        description=schedule.description,
        payload=schedule.payload,
        queue=schedule.queue,
        priority=schedule.priority,
        max_retries=schedule.max_retries,
        timeout_seconds=schedule.timeout_seconds,
        scheduled_at=schedule.next_due,
        idempotency_key=_key(schedule, schedule.next_due),
        lock=declared_lock(schedule.name, schedule.payload),
    )
    new = NewTask(spec, schedule.team_id, schedule.user_id, hold=Hold.SCHEDULE, schedule_id=schedule.pk)
    return lifecycle.create([new], now, [schedule.coming_task_id])[0]


def _next_due(expression: str, timezone: str, now: datetime) -> datetime:
    try:
        return cron.next_after(cron.parse(expression), cron.zone(timezone), now)
    except cron.BadCron as error:
        raise BadInput(str(error), field=error.part) from None
