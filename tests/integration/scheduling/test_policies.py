"""What schedules do about slots that were missed, and about a previous task that still runs."""

from __future__ import annotations

import pytest

from scheduling import schedules
from scheduling.domain.overlaps import Firing
from tasks import lifecycle
from tasks.models import Task
from tests.integration.scheduling.making import (
    CANCELLED,
    PENDING,
    PROCESSING,
    QUEUED,
    again,
    at,
    cancel,
    coming,
    end,
    last,
    make,
    slots,
    start,
)
from tests.support.factories import LEASE, row

COMPLETED = "COMPLETED"

# --- misfires ------------------------------------------------------------------------------------------------------


def test_missed_slots_that_are_skipped_make_no_task():
    schedule = make(misfire_policy="SKIP")

    assert schedules.fire(schedule.pk, at(17, 20)) == Firing()

    assert slots(schedule) == [("18:00", PENDING)]
    assert again(schedule).last_fired_at is None


def test_with_missed_slots_skipped_the_one_that_is_due_now_still_runs():
    schedule = make(misfire_policy="SKIP")

    schedules.fire(schedule.pk, at(17, 0, 10))

    assert slots(schedule) == [("17:00", QUEUED), ("18:00", PENDING)]


def test_all_missed_slots_run_when_the_schedule_says_so():
    schedule = make(misfire_policy="FIRE_ALL", title="Report", payload={"a": 1})

    schedules.fire(schedule.pk, at(15, 20))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", QUEUED), ("15:00", QUEUED), ("16:00", PENDING)]
    tasks = list(Task.objects.filter(schedule_id=schedule.pk).order_by("scheduled_at"))
    assert [(task.title, task.payload) for task in tasks] == [("Report", {"a": 1})] * 4
    assert len({task.idempotency_key for task in tasks}) == 4
    assert again(schedule).last_task_id == tasks[2].pk


def test_of_too_many_missed_slots_the_newest_run(settings):
    settings.DTQ_SCHEDULING = settings.DTQ_SCHEDULING.__class__(misfire_limit=2)
    schedule = make(misfire_policy="FIRE_ALL")

    schedules.fire(schedule.pk, at(17, 20))

    assert slots(schedule) == [("16:00", QUEUED), ("17:00", QUEUED), ("18:00", PENDING)]


@pytest.mark.parametrize("policy", ["SKIP", "FIRE_ONCE", "FIRE_ALL"])
def test_slots_that_are_late_by_no_more_than_a_takeover_each_run(policy):
    schedule = make(None, interval_seconds=4, misfire_policy=policy, starts_at=at(13))

    schedules.fire(schedule.pk, at(13, 0, 9))

    found = Task.objects.filter(schedule_id=schedule.pk).order_by("scheduled_at")
    assert [(task.scheduled_at, task.status) for task in found] == [
        (at(13), QUEUED),
        (at(13, 0, 4), QUEUED),
        (at(13, 0, 8), QUEUED),
        (at(13, 0, 12), PENDING),
    ]


def test_a_slot_that_has_had_its_task_gets_no_second_one_when_all_are_made_up_for():
    schedule = make(misfire_policy="FIRE_ALL")
    schedules.fire(schedule.pk, at(13))
    schedules.fire(schedule.pk, at(14))
    schedules.pause(schedule.pk)
    schedules.resume(schedule.pk, at(12, 50))  # a clock that went back

    schedules.fire(schedule.pk, at(15, 20))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", QUEUED), ("15:00", QUEUED), ("16:00", PENDING)]


# --- overlaps ------------------------------------------------------------------------------------------------------


def running_since_one(overlap_policy: str, **asked: object) -> tuple:
    """A schedule whose task of 13:00 runs."""
    schedule = make(overlap_policy=overlap_policy, **asked)
    schedules.fire(schedule.pk, at(13))
    return schedule, start(last(schedule), at(13, 0, 1))


def test_tasks_may_run_side_by_side():
    schedule, _ = running_since_one("ALLOW")

    schedules.fire(schedule.pk, at(14))

    assert slots(schedule) == [("13:00", PROCESSING), ("14:00", QUEUED), ("15:00", PENDING)]


def test_a_slot_is_skipped_while_the_task_before_runs_and_not_after():
    schedule, running = running_since_one("SKIP")

    assert schedules.fire(schedule.pk, at(14)) == Firing()
    assert slots(schedule) == [("13:00", PROCESSING), ("15:00", PENDING)]

    end(running, at(14, 30))
    schedules.fire(schedule.pk, at(15))
    assert slots(schedule) == [("13:00", COMPLETED), ("15:00", QUEUED), ("16:00", PENDING)]


def test_a_task_that_waits_in_its_queue_counts_as_running():
    schedule = make(overlap_policy="SKIP")
    schedules.fire(schedule.pk, at(13))

    schedules.fire(schedule.pk, at(14))

    assert slots(schedule) == [("13:00", QUEUED), ("15:00", PENDING)]


def test_a_cancelled_task_counts_until_its_worker_knows():
    schedule = make(overlap_policy="SKIP")
    schedules.fire(schedule.pk, at(13))
    cancel(start(last(schedule), at(13, 59, 50)), at(13, 59, 55))

    schedules.fire(schedule.pk, at(14))
    assert slots(schedule) == [("13:00", CANCELLED), ("15:00", PENDING)]

    schedules.fire(schedule.pk, at(15))
    assert slots(schedule) == [("13:00", CANCELLED), ("15:00", QUEUED), ("16:00", PENDING)]
    assert at(14) < at(13, 59, 50) + LEASE < at(15)


def test_one_slot_waits_for_the_task_before_and_stands_for_those_that_pass_meanwhile():
    schedule, running = running_since_one("QUEUE_ONE")

    assert schedules.fire(schedule.pk, at(14)) == Firing(waits=at(14))
    assert slots(schedule) == [("13:00", PROCESSING), ("14:00", PENDING)]
    assert schedules.due(at(16, 30)) == [] and schedules.next_moment() is None

    end(running, at(16, 31))
    assert schedules.due(at(16, 31)) == [schedule.pk]
    assert schedules.fire(schedule.pk, at(16, 31)) == Firing((at(14),))
    assert slots(schedule) == [("13:00", COMPLETED), ("14:00", QUEUED), ("17:00", PENDING)]
    assert again(schedule).behind_task_id is None


@pytest.mark.parametrize("misfire_policy", ["SKIP", "FIRE_ONCE", "FIRE_ALL"])
def test_a_slot_that_waited_is_no_misfire(misfire_policy):
    schedule, running = running_since_one("QUEUE_ONE", misfire_policy=misfire_policy)
    schedules.fire(schedule.pk, at(14))
    end(running, at(16, 31))

    assert schedules.fire(schedule.pk, at(16, 31)) == Firing((at(14),))


def test_of_missed_slots_that_all_run_one_waits_for_the_first():
    schedule = make(overlap_policy="QUEUE_ONE", misfire_policy="FIRE_ALL")

    assert schedules.fire(schedule.pk, at(16, 20)) == Firing((at(13),), waits=at(14))

    assert slots(schedule) == [("13:00", QUEUED), ("14:00", PENDING)]
    assert again(schedule).behind_task_id == last(schedule).pk


def test_a_slot_that_waits_goes_on_when_the_task_before_is_deleted():
    schedule, running = running_since_one("QUEUE_ONE")
    schedules.fire(schedule.pk, at(14))
    end(running, at(14, 1))
    lifecycle.delete(running.pk, at(14, 1))

    assert schedules.due(at(14, 2)) == [schedule.pk]
    assert schedules.fire(schedule.pk, at(14, 2)) == Firing((at(14),))


def test_a_slot_that_waits_is_withdrawn_by_a_pause():
    schedule, running = running_since_one("QUEUE_ONE")
    schedules.fire(schedule.pk, at(14))

    schedules.pause(schedule.pk)

    assert slots(schedule) == [("13:00", PROCESSING)]
    end(running, at(14, 1))
    assert schedules.due(at(14, 2)) == []
    assert again(schedule).behind_task_id is None


def test_the_task_before_is_cancelled():
    schedule, _ = running_since_one("CANCEL_PREVIOUS")

    assert schedules.fire(schedule.pk, at(14)) == Firing((at(14),), cancels_previous=True)

    assert slots(schedule) == [("13:00", CANCELLED), ("14:00", QUEUED), ("15:00", PENDING)]


def test_a_task_before_that_has_ended_stays_as_it_is():
    schedule, running = running_since_one("CANCEL_PREVIOUS")
    end(running, at(13, 30))
    before = row(running)

    schedules.fire(schedule.pk, at(14))

    assert row(running) == before
    assert slots(schedule)[1:] == [("14:00", QUEUED), ("15:00", PENDING)]


def test_of_missed_slots_that_each_cancel_the_one_before_the_newest_runs():
    schedule, _ = running_since_one("CANCEL_PREVIOUS", misfire_policy="FIRE_ALL")

    schedules.fire(schedule.pk, at(16, 20))

    assert slots(schedule) == [("13:00", CANCELLED), ("16:00", QUEUED), ("17:00", PENDING)]


def test_a_previous_task_that_ends_in_the_same_moment_is_not_cancelled(monkeypatch):
    schedule, running = running_since_one("CANCEL_PREVIOUS")
    decide = schedules._decide

    def overtaken(*args: object) -> Firing:
        firing = decide(*args)
        end(running, at(14))
        return firing

    monkeypatch.setattr(schedules, "_decide", overtaken)
    schedules.fire(schedule.pk, at(14))

    assert slots(schedule) == [("13:00", COMPLETED), ("14:00", QUEUED), ("15:00", PENDING)]


def test_one_that_an_operator_cancelled_holds_nobody_up():
    schedule = make(overlap_policy="SKIP")
    cancel(coming(schedule), at(12, 45))
    schedules.fire(schedule.pk, at(13))

    schedules.fire(schedule.pk, at(14))

    assert slots(schedule) == [("13:00", CANCELLED), ("14:00", QUEUED), ("15:00", PENDING)]


def test_running_now_neither_waits_for_the_task_before_nor_counts_as_one():
    schedule, running = running_since_one("SKIP")

    extra = schedules.run_now(schedule.pk, None, at(13, 10))

    assert extra.status == QUEUED
    assert last(schedule).scheduled_at == at(13)
    end(running, at(13, 30))
    schedules.fire(schedule.pk, at(14))
    assert slots(schedule)[1:] == [("14:00", QUEUED), ("15:00", PENDING)]
