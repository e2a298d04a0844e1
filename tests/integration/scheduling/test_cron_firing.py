"""The duty that releases the occurrences of schedules, each round as of a moment that the test names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError

from scheduling import schedules
from scheduling.duties.cron_firing import CronFiring
from scheduling.models import Schedule
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.recurrence import Recurrence
from tests.integration.scheduling.performing import Leading, make_duty
from tests.support.factories import START, after, make_team, task_spec


def schedule(expression: str = "* * * * *") -> Schedule:
    task = schedules.create_recurring(task_spec(), Recurrence(expression, "UTC"), make_team().pk, None, START)
    return Schedule.objects.get(pk=task.schedule_id)


def test_cron_firing_sleeps_until_the_slot_and_fires_it():
    made = schedule()
    duty, heard = make_duty(CronFiring)

    assert duty.perform(after(59)) == pytest.approx(0.2)
    assert duty.perform(after(59.95)) == pytest.approx(0.05)
    assert heard.events == []
    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert [event.facts for event in heard.named("schedule.fired")] == [{"schedule": str(made.pk), "tasks": 1}]
    assert Task.objects.get(pk=made.coming_task_id).status == TaskStatus.QUEUED


def test_a_schedule_that_cannot_be_fired_holds_up_no_other():
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(timezone="Gone/Away", next_due=after(30))
    duty, heard = make_duty(CronFiring)

    duty.perform(after(60))
    assert duty.perform(after(61)) == pytest.approx(0.2)

    assert [event.facts["schedule"] for event in heard.named("schedule.fired")] == [str(good.pk)]
    (told,) = heard.named("schedule.failed")
    assert told.facts["schedule"] == str(bad.pk) and "Gone/Away" in told.facts["error"]
    assert Task.objects.get(pk=bad.coming_task_id).status == TaskStatus.PENDING


def test_whatever_a_firing_raises_it_holds_up_no_other_and_is_tried_again_after_a_rest(monkeypatch):
    bad, good = schedule(), schedule()
    Schedule.objects.filter(pk=bad.pk).update(next_due=after(30))
    duty, heard = make_duty(CronFiring)
    fire, tried = schedules.fire, []

    def failing_once(schedule_id: Any, now: datetime) -> bool:
        tried.append((schedule_id, now))
        if [each for each, _ in tried].count(bad.pk) == 1 and schedule_id == bad.pk:
            raise ZeroDivisionError("a defect")
        return fire(schedule_id, now)

    monkeypatch.setattr(schedules, "fire", failing_once)

    for seconds in (60, 60.2, 119.9, 120):
        assert duty.perform(after(seconds)) <= 0.2

    assert tried == [(bad.pk, after(60)), (good.pk, after(60)), (bad.pk, after(120)), (good.pk, after(120))]
    assert [event.facts for event in heard.named("schedule.failed")] == [
        {"schedule": str(bad.pk), "error": "ZeroDivisionError('a defect')"}
    ]
    assert len(heard.named("schedule.fired")) == 3


def test_one_that_lost_a_lock_is_tried_again_soon(monkeypatch):
    made = schedule()
    duty, heard = make_duty(CronFiring)

    def busy(*_: Any) -> bool:
        raise OperationalError(1213, "Deadlock found")

    with monkeypatch.context() as conflict:
        conflict.setattr(schedules, "fire", busy)
        duty.perform(after(60))
    duty.perform(after(61))

    assert [event.name for event in heard.events] == ["schedule.failed", "schedule.fired"]
    assert heard.events[1].facts == {"schedule": str(made.pk), "tasks": 1}


def test_however_many_cannot_be_fired_the_others_behind_them_are():
    bad = [schedule() for _ in range(101)]
    Schedule.objects.filter(pk__in=[each.pk for each in bad]).update(timezone="Gone/Away", next_due=after(30))
    good = schedule()
    duty, heard = make_duty(CronFiring)

    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert [event.facts for event in heard.named("schedule.fired")] == [{"schedule": str(good.pk), "tasks": 1}]
    assert len(heard.named("schedule.failed")) == 101


def test_a_slot_that_another_scheduler_has_fired_meanwhile_is_passed_over_once(monkeypatch):
    schedule()
    duty, heard = make_duty(CronFiring)
    tried = []
    monkeypatch.setattr(schedules, "fire", lambda *args: tried.append(args))

    assert duty.perform(after(60)) == pytest.approx(0.2)

    assert len(tried) == 1
    assert heard.events == []


def test_an_outage_of_the_database_is_no_schedule_s_failure(monkeypatch):
    schedule()
    leader = Leading()
    duty, heard = make_duty(CronFiring, leader, after(60))

    def away(*_: Any) -> bool:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(schedules, "fire", away)
        assert duty.run_once() == 1.0
    assert [event.name for event in leader.heard.events] == ["server.unreachable"]

    duty.run_once()
    assert [event.name for event in heard.events] == ["schedule.fired"]
