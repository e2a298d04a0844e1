"""The only writer of schedules: making, firing, editing, pausing, deleting. Each is one transaction with what it does to tasks.

An active schedule has exactly one coming occurrence, a PENDING task (`occurrences.py`), until its end has passed. Whoever
changes a schedule holds its row or restates its revision, so that of several schedulers one takes each step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from dtq_site.foundation.database import ids, repeats_lock_conflicts
from dtq_site.foundation.errors import NotFound
from scheduling import definition, occurrences
from scheduling.definition import Definition, timing_of
from scheduling.domain import misfires, overlaps, timing
from scheduling.domain.misfires import Leniency, MisfirePolicy
from scheduling.domain.overlaps import Firing, OverlapPolicy
from scheduling.domain.timing import Calendar
from scheduling.models import Schedule
from tasks.domain.submission import TaskSpec
from tasks.models import Task
from tasks.recurrence import Recurrence

_POSITION = ("next_slot", "next_due", "coming_task_id", "behind_task_id", "revision")


@repeats_lock_conflicts
def create(defined: Definition, team_id: UUID, user_id: UUID | None, now: datetime) -> Schedule:
    """Make a schedule with its coming occurrence."""
    (schedule_id,) = ids.new()
    schedule = Schedule(id=schedule_id, team_id=team_id, user_id=user_id, created_at=now, **defined.columns())
    _go_to(schedule, _calendar(schedule).coming(now, now))
    schedule.save(force_insert=True)
    occurrences.make_coming(schedule, now)
    return schedule


@repeats_lock_conflicts
def create_recurring(
    spec: TaskSpec, recurrence: Recurrence, team_id: UUID, user_id: UUID | None, now: datetime
) -> Task:
    """Make a schedule and return its coming occurrence. Raises BadInput naming ``cronExpression`` or ``timezone``."""
    asked = {"cron_expression": recurrence.cron_expression, "timezone": recurrence.timezone}
    when = timing.checked(**dict.fromkeys(definition.ASKED_OF_TIMING) | asked, now=now)
    schedule = create(Definition(spec, when), team_id, user_id, now)
    return Task.objects.get(pk=schedule.coming_task_id)


@repeats_lock_conflicts
def update(schedule_id: UUID, asked: Mapping[str, Any], now: datetime) -> Schedule:
    """Change what is asked for; the coming occurrence is withdrawn and made anew. Raises NotFound, or BadInput.

    If the change is about when it is due, it goes on from the first slot after now; else the coming slot stays.
    """
    schedule = _the(schedule_id)
    before = timing_of(schedule)
    values = definition.read_changed(schedule, asked, now).columns()
    occurrences.withdraw(schedule)
    for column, value in values.items():
        setattr(schedule, column, value)
    if not schedule.paused:
        stays = timing_of(schedule) == before
        _go_to(schedule, schedule.next_slot if stays else _calendar(schedule).coming(now, now))
    _save(schedule, *values)
    occurrences.make_coming(schedule, now)
    return schedule


@repeats_lock_conflicts
def pause(schedule_id: UUID) -> Schedule:
    """Withdraw the coming occurrence and make no more until the schedule is resumed. Raises NotFound."""
    schedule = _the(schedule_id)
    if not schedule.paused:
        occurrences.withdraw(schedule)
        schedule.paused = True
        _go_to(schedule, None)
        _save(schedule, "paused")
    return schedule


@repeats_lock_conflicts
def resume(schedule_id: UUID, now: datetime) -> Schedule:
    """Go on from the first slot after now. Raises NotFound."""
    schedule = _the(schedule_id)
    if schedule.paused:
        schedule.paused = False
        _go_to(schedule, _calendar(schedule).coming(now, now))
        _save(schedule, "paused")
        occurrences.make_coming(schedule, now)
    return schedule


@repeats_lock_conflicts
def run_now(schedule_id: UUID, user_id: UUID | None, now: datetime) -> Task:
    """Make a ready task like those of the schedule, for no slot: it neither counts as one nor waits for one."""
    return occurrences.run_now(_the(schedule_id), user_id, now)


@repeats_lock_conflicts
def delete(schedule_id: UUID) -> None:
    """Remove the schedule and its coming occurrence; tasks that it made stay. Raises NotFound."""
    schedule = _the(schedule_id)
    occurrences.withdraw(schedule)
    Schedule.objects.filter(pk=schedule_id).delete()


# --- firing --------------------------------------------------------------------------------------------------------


def due(now: datetime, limit: int = 100, *, besides: Collection[UUID] = ()) -> list[UUID]:
    """The active schedules that are to fire, the longest due first; those named `besides` are passed over.

    One whose coming slot waits for a task to end is not among them before that.
    """
    awaited = Task.objects.filter(occurrences.running(now), pk=OuterRef("behind_task_id"))
    waiting = _active(besides).filter(Q(behind_task_id=None) | ~Exists(awaited), next_due__lte=now)
    return list(waiting.values_list("pk", flat=True)[:limit])


def next_moment(*, besides: Collection[UUID] = ()) -> datetime | None:
    """When the next slot of any active schedule is to fire, `besides` those named and those that wait for a task to end."""
    coming = _active(besides).filter(behind_task_id=None)
    moment: datetime | None = coming.values_list("next_due", flat=True).first()
    return moment


def _active(besides: Collection[UUID]) -> QuerySet[Schedule]:
    return Schedule.objects.filter(paused=False, next_due__isnull=False).exclude(pk__in=besides).order_by("next_due")


@repeats_lock_conflicts
def fire(schedule_id: UUID, now: datetime) -> Firing | None:
    """Do what is to be done about the slots that have come, and go on to the next; None if there is nothing (any more)."""
    schedule = Schedule.objects.filter(pk=schedule_id, paused=False, next_due__lte=now).first()
    if schedule is None:
        return None
    firing = _decide(schedule, now)
    following = firing.waits or _calendar(schedule).coming(schedule.next_slot, now)
    others = {*firing.released, following} - {schedule.next_slot, None}
    task_ids = {schedule.next_slot: schedule.coming_task_id, **occurrences.task_ids(schedule, sorted(others))}
    last = task_ids[firing.released[-1]] if firing.released else schedule.last_task_id
    ahead = {
        "next_slot": following,
        "next_due": following and _calendar(schedule).release_of(following),
        "coming_task_id": following and task_ids[following],
        "behind_task_id": last if firing.waits else None,
        "last_task_id": last,
        "last_fired_at": now if firing.released else schedule.last_fired_at,
    }
    step = Schedule.objects.filter(pk=schedule_id, next_due=schedule.next_due, revision=schedule.revision)
    if not step.update(**ahead, revision=F("revision") + 1):
        return None
    if firing.cancels_previous:
        occurrences.cancel_last(schedule, now)
    if schedule.next_slot not in (*firing.released, firing.waits):
        occurrences.withdraw(schedule)
    occurrences.release(schedule, {slot: task_ids[slot] for slot in firing.released}, now)
    if following != schedule.next_slot:
        for column, value in ahead.items():
            setattr(schedule, column, value)
        occurrences.make_coming(schedule, now)
    return firing


def _decide(schedule: Schedule, now: datetime) -> Firing:
    overlap_policy = OverlapPolicy(schedule.overlap_policy)
    previous_runs = overlap_policy is not OverlapPolicy.ALLOW and occurrences.last_one_runs(schedule, now)
    if schedule.behind_task_id is not None:
        slots = [schedule.next_slot]  # those that passed while it waited are no misfires: it stands for them
    else:
        options = settings.DTQ_SCHEDULING
        leniency = Leniency(options.misfire_grace, options.misfire_limit)
        policy = MisfirePolicy(schedule.misfire_policy)
        slots = misfires.slots_to_run(policy, _calendar(schedule), schedule.next_slot, now, leniency)
    return overlaps.decide(overlap_policy, slots, previous_runs)


# --- rows ----------------------------------------------------------------------------------------------------------


def _the(schedule_id: UUID) -> Schedule:
    schedule = Schedule.objects.select_for_update().filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(f"There is no schedule {schedule_id}.")
    return schedule


def _calendar(schedule: Schedule) -> Calendar:
    return Calendar(timing_of(schedule), schedule.pk)


def _go_to(schedule: Schedule, slot: datetime | None) -> None:
    """Make `slot` the coming one. The task that it had is withdrawn, or is made again under another id."""
    schedule.behind_task_id = None if slot != schedule.next_slot else schedule.behind_task_id
    schedule.next_slot = slot
    schedule.next_due = None if slot is None else _calendar(schedule).release_of(slot)
    schedule.coming_task_id = None if slot is None else occurrences.task_ids(schedule, [slot])[slot]


def _save(schedule: Schedule, *columns: str) -> None:
    schedule.revision += 1
    schedule.save(update_fields=[*_POSITION, *columns])
