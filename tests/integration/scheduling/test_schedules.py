"""Schedules: one coming occurrence, each slot once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dtq_site.foundation.errors import BadInput, NotFound
from scheduling import schedules
from scheduling.domain.overlaps import Firing
from scheduling.models import Schedule
from tasks import lifecycle
from tasks.domain.states import Hold
from tasks.models import Task
from tasks.recurrence import Recurrence
from tasks.submission import Owner, Request, submit_recurring
from tests.integration.scheduling.making import CANCELLED, PENDING, QUEUED, again, at, cancel, coming, make, slots
from tests.support.factories import ManualClock, in_own_connection, make_team, make_user, reread, row, task_spec


def test_a_new_schedule_has_its_coming_occurrence_as_a_pending_task():
    user = make_user()
    spec = task_spec(name="report", title="Report", payload={"a": 1}, queue="mail", priority=10, max_retries=7)

    task = schedules.create_recurring(spec, Recurrence(" 0 * * * * ", "UTC"), user.team_id, user.pk, at(12, 30))

    schedule = Schedule.objects.get()
    kept = reread(task)
    assert (kept.status, kept.hold, kept.scheduled_at) == (PENDING, Hold.SCHEDULE, at(13))
    assert (kept.schedule_id, kept.team_id, kept.user_id) == (schedule.pk, user.team_id, user.pk)
    assert kept.idempotency_key == f"schedule:{schedule.pk}:{int(at(13).timestamp())}"
    assert (kept.name, kept.title, kept.payload) == ("report", "Report", {"a": 1})
    assert (kept.queue, kept.priority, kept.max_retries) == ("mail", 10, 7)
    assert (schedule.cron_expression, schedule.next_due, schedule.coming_task_id) == ("0 * * * *", at(13), task.pk)


def test_the_expression_is_read_in_its_zone():
    assert make("0 9 * * *", timezone="America/New_York").next_due == at(14)


@pytest.mark.parametrize(
    ("expression", "timezone", "field"), [("61 * * * *", "UTC", "cronExpression"), ("0 * * * *", "Moon", "timezone")]
)
def test_a_bad_expression_or_zone_makes_nothing(expression, timezone, field):
    with pytest.raises(BadInput) as refusal:
        make(expression, timezone=timezone)

    assert refusal.value.field == field
    assert (Schedule.objects.count(), Task.objects.count()) == (0, 0)


def test_a_recurring_submission_makes_a_schedule():
    owner = Owner(make_team().pk, None)

    task = submit_recurring(Request(name="job"), Recurrence("0 * * * *", "UTC"), owner, ManualClock(at(12, 30)))

    assert (task.status, task.scheduled_at, task.schedule_id) == (PENDING, at(13), Schedule.objects.get().pk)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scheduled_at": at(15)}, "scheduledAt"),
        ({"delay_seconds": 5}, "delaySeconds"),
        ({"idempotency_key": "k"}, "idempotencyKey"),
    ],
)
def test_what_makes_no_sense_for_a_recurring_task_is_refused(fields, field):
    with pytest.raises(BadInput) as refusal:
        submit_recurring(Request(name="job", **fields), Recurrence("0 * * * *", "UTC"), Owner(make_team().pk, None))

    assert refusal.value.field == field
    assert Schedule.objects.count() == 0


# --- firing --------------------------------------------------------------------------------------------------------


def test_firing_releases_the_occurrence_and_makes_the_next():
    schedule = make()
    first = coming(schedule)

    assert schedules.due(at(12, 59, 59.999)) == []
    assert schedules.due(at(13)) == [schedule.pk]
    assert schedules.fire(schedule.pk, at(13, 0, 0.1))

    assert (reread(first).status, reread(first).queued_at) == (QUEUED, at(13, 0, 0.1))
    assert (again(schedule).next_due, again(schedule).last_fired_at) == (at(14), at(13, 0, 0.1))
    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]
    assert schedules.next_moment() == at(14)


def test_before_its_slot_and_twice_in_it_there_is_nothing_to_fire():
    schedule = make()

    assert not schedules.fire(schedule.pk, at(12, 59, 59.999))
    assert schedules.fire(schedule.pk, at(13))
    assert not schedules.fire(schedule.pk, at(13, 0, 1))
    assert not schedules.fire(uuid.uuid4(), at(13))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]


def test_schedulers_that_fire_at_once_fire_once():
    schedule = make()
    start = threading.Barrier(4)

    def fire(_: int) -> bool:
        start.wait(10)
        return in_own_connection(lambda: schedules.fire(schedule.pk, at(13, 0, 1)))

    with ThreadPoolExecutor(4) as pool:
        fired = list(pool.map(fire, range(4)))

    assert sorted(map(bool, fired)) == [False, False, False, True]
    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]


def test_slots_that_were_missed_fire_once():
    schedule = make()

    assert schedules.fire(schedule.pk, at(17, 20))

    assert slots(schedule) == [("13:00", QUEUED), ("18:00", PENDING)]


def test_an_occurrence_that_an_operator_cancelled_is_skipped():
    schedule = make()
    cancel(coming(schedule), at(12, 45))

    assert schedules.fire(schedule.pk, at(13))

    assert slots(schedule) == [("13:00", CANCELLED), ("14:00", PENDING)]


def test_an_occurrence_that_was_cancelled_and_deleted_is_skipped_too():
    schedule = make()
    task = coming(schedule)
    cancel(task, at(12, 45))
    lifecycle.delete(task.pk, at(12, 45))

    assert schedules.fire(schedule.pk, at(13))

    assert slots(schedule) == [("14:00", PENDING)]


def test_the_longest_due_come_first():
    late, early = make("30 * * * *"), make("0 * * * *")

    assert schedules.due(at(14)) == [early.pk, late.pk]
    assert schedules.due(at(14), limit=1) == [early.pk]


# --- pause, resume, delete -----------------------------------------------------------------------------------------


def test_pausing_withdraws_the_occurrence_and_its_key():
    schedule = make()

    schedules.pause(schedule.pk)
    schedules.pause(schedule.pk)

    kept = again(schedule)
    assert (kept.paused, kept.next_due, kept.coming_task_id, kept.revision) == (True, None, None, 2)
    assert slots(schedule) == []
    assert schedules.due(at(20)) == [] and schedules.next_moment() is None
    assert not schedules.fire(schedule.pk, at(20))


def test_resuming_goes_on_from_the_first_slot_after_now():
    schedule = make()
    schedules.pause(schedule.pk)

    schedules.resume(schedule.pk, at(16, 10))
    schedules.resume(schedule.pk, at(16, 11))

    assert (again(schedule).paused, again(schedule).next_due) == (False, at(17))
    assert slots(schedule) == [("17:00", PENDING)]


def test_paused_and_resumed_within_one_slot_it_still_fires_at_it():
    schedule = make()
    schedules.pause(schedule.pk)
    schedules.resume(schedule.pk, at(12, 41))

    assert schedules.fire(schedule.pk, at(13))
    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]


def test_what_was_cancelled_stays_cancelled_through_a_pause():
    schedule = make()
    cancel(coming(schedule), at(12, 35))
    schedules.pause(schedule.pk)

    schedules.resume(schedule.pk, at(12, 45))

    assert slots(schedule) == [("13:00", CANCELLED)]
    assert again(schedule).next_due == at(13)
    assert schedules.fire(schedule.pk, at(13))
    assert slots(schedule) == [("13:00", CANCELLED), ("14:00", PENDING)]


def test_with_a_clock_that_goes_back_a_slot_does_not_run_twice():
    schedule = make()
    schedules.fire(schedule.pk, at(13))
    schedules.pause(schedule.pk)

    schedules.resume(schedule.pk, at(12, 59, 59.9))
    schedules.fire(schedule.pk, at(13, 0, 2))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]


def test_what_has_been_released_is_not_withdrawn():
    schedule = make()
    schedules.fire(schedule.pk, at(13))

    schedules.pause(schedule.pk)

    assert slots(schedule) == [("13:00", QUEUED)]


def test_deleting_leaves_what_it_made():
    schedule = make()
    schedules.fire(schedule.pk, at(13))

    schedules.delete(schedule.pk)

    assert not Schedule.objects.exists()
    assert slots(schedule) == [("13:00", QUEUED)]


@pytest.mark.parametrize(
    "verb",
    [lambda id_: schedules.pause(id_), lambda id_: schedules.resume(id_, at(12)), schedules.delete],
    ids=["pause", "resume", "delete"],
)
def test_a_schedule_that_is_not_there_is_not_found(verb):
    with pytest.raises(NotFound):
        verb(uuid.uuid4())


def test_a_firing_that_meets_a_pause_does_nothing(monkeypatch):
    schedule = make()
    waiting = row(coming(schedule))
    decide = schedules._decide

    def overtaken(*args: Any) -> Firing:
        Schedule.objects.filter(pk=schedule.pk).update(revision=99)
        return decide(*args)

    monkeypatch.setattr(schedules, "_decide", overtaken)

    assert not schedules.fire(schedule.pk, at(13))
    assert row(coming(schedule)) == waiting
    assert slots(schedule) == [("13:00", PENDING)]
