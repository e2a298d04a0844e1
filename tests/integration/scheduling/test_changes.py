"""Changing schedules, their bounds, and runs for no slot."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from dtq_site.foundation.errors import BadInput, NotFound
from scheduling import schedules
from scheduling.models import Schedule
from tasks.domain.states import Hold
from tasks.models import Task
from tests.integration.scheduling.making import CANCELLED, PENDING, QUEUED, again, at, cancel, coming, make, slots
from tests.support.factories import make_user


def state() -> tuple[Any, ...]:
    """Every row of schedules and tasks, to prove that nothing changed."""
    return list(Schedule.objects.order_by("pk").values()), list(Task.objects.order_by("pk").values())


# --- changing ------------------------------------------------------------------------------------------------------


def test_a_change_of_when_goes_on_from_the_first_slot_after_now():
    schedule = make()

    changed = schedules.update(schedule.pk, {"cron_expression": "15 * * * *", "timezone": "Asia/Kathmandu"}, at(12, 40))

    assert (changed.next_slot, changed.next_due, changed.revision) == (at(13, 30), at(13, 30), 2)
    assert slots(schedule) == [("13:30", PENDING)]
    assert (again(schedule).cron_expression, again(schedule).timezone) == ("15 * * * *", "Asia/Kathmandu")


def test_a_change_never_fires_a_slot_that_has_passed():
    schedule = make()

    schedules.update(schedule.pk, {"cron_expression": "5 * * * *"}, at(17, 20))

    assert slots(schedule) == [("18:05", PENDING)]
    assert schedules.due(at(17, 20)) == []


def test_to_another_time_and_back_it_fires_at_its_old_slot():
    schedule = make("0 14 * * *")
    schedules.update(schedule.pk, {"cron_expression": "0 15 * * *"}, at(12, 40))
    schedules.update(schedule.pk, {"cron_expression": "0 14 * * *"}, at(12, 41))

    assert schedules.fire(schedule.pk, at(14))
    assert slots(schedule)[0] == ("14:00", QUEUED)


def test_a_change_of_the_task_keeps_the_slot_and_shows_in_it():
    schedule = make(name="old", payload={"a": 1}, queue="mail", priority=1, max_retries=1, timeout_seconds=9)

    schedules.update(schedule.pk, {"name": "new", "payload": {"b": 2}, "priority": 7}, at(12, 40))

    task = coming(schedule)
    assert slots(schedule) == [("13:00", PENDING)]
    assert (task.name, task.title, task.payload, task.priority) == ("new", "new", {"b": 2}, 7)
    assert (task.queue, task.max_retries, task.timeout_seconds, task.hold) == ("mail", 1, 9, Hold.SCHEDULE)


def test_a_title_that_somebody_chose_stays():
    schedule = make(name="old", title="Report")

    assert schedules.update(schedule.pk, {"name": "new"}, at(12, 40)).title == "Report"
    assert schedules.update(schedule.pk, {"title": None}, at(12, 41)).title == "new"


def test_a_change_of_the_task_in_the_moment_of_its_slot_loses_no_slot():
    schedule = make()

    schedules.update(schedule.pk, {"payload": {"b": 2}}, at(13, 0, 0.1))

    assert schedules.fire(schedule.pk, at(13, 0, 0.2))
    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]


def test_a_slot_that_an_operator_cancelled_stays_cancelled_through_a_change_of_the_task():
    schedule = make()
    cancel(coming(schedule), at(12, 35))

    schedules.update(schedule.pk, {"priority": 9}, at(12, 40))
    schedules.fire(schedule.pk, at(13))

    assert slots(schedule) == [("13:00", CANCELLED), ("14:00", PENDING)]


def test_a_paused_schedule_is_changed_and_stays_paused():
    schedule = make()
    schedules.pause(schedule.pk)

    schedules.update(schedule.pk, {"cron_expression": "15 * * * *"}, at(12, 40))

    assert (again(schedule).paused, again(schedule).next_due, slots(schedule)) == (True, None, [])
    schedules.resume(schedule.pk, at(12, 50))
    assert slots(schedule) == [("13:15", PENDING)]


def test_an_interval_takes_the_place_of_an_expression_and_the_other_way_round():
    schedule = make()

    schedules.update(schedule.pk, {"interval_seconds": 600}, at(12, 45))
    assert (again(schedule).cron_expression, slots(schedule)) == (None, [("12:55", PENDING)])

    schedules.update(schedule.pk, {"cron_expression": "0 * * * *"}, at(12, 46))
    assert (again(schedule).interval_seconds, again(schedule).counts_from) == (None, None)
    assert slots(schedule) == [("13:00", PENDING)]


def test_an_interval_keeps_its_grid_while_something_else_about_its_time_changes():
    schedule = make(None, interval_seconds=1200)

    schedules.update(schedule.pk, {"ends_at": at(20)}, at(12, 41))
    assert slots(schedule) == [("12:50", PENDING)]

    schedules.update(schedule.pk, {"interval_seconds": 600}, at(12, 42))
    assert slots(schedule) == [("12:52", PENDING)]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"cron_expression": "0 0 30 2 *"}, "cronExpression"),
        ({"cron_expression": None}, "cronExpression"),
        ({"interval_seconds": 5, "cron_expression": "0 * * * *"}, "intervalSeconds"),
        ({"timezone": "Moon"}, "timezone"),
        ({"ends_at": at(12, 50)}, "endsAt"),
        ({"jitter_seconds": -1}, "jitterSeconds"),
        ({"priority": 101}, "priority"),
        ({"queue": "no blanks"}, "queue"),
        ({"name": ""}, "name"),
        ({"max_retries": -1}, "maxRetries"),
        ({"payload": [1]}, "payload"),
    ],
)
def test_a_change_that_is_not_allowed_changes_nothing(asked, field):
    schedule = make()
    before = state()

    with pytest.raises(BadInput) as refusal:
        schedules.update(schedule.pk, asked, at(12, 40))

    assert refusal.value.field == field
    assert state() == before


def test_what_is_not_there_can_be_neither_changed_nor_run():
    with pytest.raises(NotFound):
        schedules.update(uuid.uuid4(), {"priority": 1}, at(12))
    with pytest.raises(NotFound):
        schedules.run_now(uuid.uuid4(), None, at(12))
    assert state() == ([], [])


# --- bounds and jitter ---------------------------------------------------------------------------------------------


def test_after_its_last_slot_a_schedule_has_none_to_come():
    schedule = make(ends_at=at(14))
    schedules.fire(schedule.pk, at(13))
    schedules.fire(schedule.pk, at(14))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", QUEUED)]
    over = again(schedule)
    assert (over.paused, over.next_slot, over.next_due, over.coming_task_id) == (False, None, None, None)
    assert schedules.due(at(20)) == [] and schedules.next_moment() is None
    assert not schedules.fire(schedule.pk, at(20))


def test_a_schedule_whose_end_has_passed_can_be_renamed_and_gone_on_with():
    schedule = make(ends_at=at(13))
    schedules.fire(schedule.pk, at(13))

    schedules.update(schedule.pk, {"title": "Old"}, at(15, 10))
    assert again(schedule).next_due is None
    schedules.pause(schedule.pk)
    schedules.resume(schedule.pk, at(15, 11))
    assert again(schedule).next_due is None

    schedules.update(schedule.pk, {"ends_at": None}, at(15, 12))
    assert slots(schedule) == [("13:00", QUEUED), ("16:00", PENDING)]


def test_a_schedule_that_starts_later_waits_for_its_first_slot():
    assert slots(make(starts_at=at(15, 30))) == [("16:00", PENDING)]


def test_with_jitter_a_task_waits_longer_under_the_key_of_its_slot():
    schedule = make(jitter_seconds=1800)

    task = coming(schedule)
    assert at(13) < task.scheduled_at == schedule.next_due < at(13, 30)
    assert schedule.next_slot == at(13)
    assert task.idempotency_key.endswith(f":{int(at(13).timestamp())}")
    assert not schedules.fire(schedule.pk, at(13))
    assert schedules.fire(schedule.pk, schedule.next_due)
    assert again(schedule).next_slot == at(14)


# --- runs for no slot ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True])
def test_running_now_makes_a_ready_task_and_leaves_the_slots_alone(paused):
    schedule, user = make(name="report", title="Report", payload={"a": 1}, queue="mail", priority=9), make_user()
    if paused:
        schedules.pause(schedule.pk)
    before = state()

    task = schedules.run_now(schedule.pk, user.pk, at(12, 45))

    assert (task.status, task.queued_at, task.scheduled_at, task.idempotency_key) == (QUEUED, at(12, 45), None, None)
    assert (task.name, task.title, task.payload, task.queue, task.priority) == ("report", "Report", {"a": 1}, "mail", 9)
    assert (task.schedule_id, task.user_id, task.team_id) == (schedule.pk, user.pk, schedule.team_id)
    rows, tasks = state()
    assert (rows, [each for each in tasks if each["id"] != task.pk]) == before


def test_running_now_twice_makes_two_tasks():
    schedule = make()

    first, second = (schedules.run_now(schedule.pk, None, at(12, 45)) for _ in range(2))

    assert first.pk != second.pk and Task.objects.filter(status=QUEUED).count() == 2
