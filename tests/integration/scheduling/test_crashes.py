"""Each slot once: whichever statement a scheduler dies at, and however far its clock is off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from scheduling import schedules
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.scheduling.making import PENDING, QUEUED, again, at, make, slots


class Killed(BaseException):
    """What a process that is killed does: nothing more."""


@contextmanager
def killed_at(number: int) -> Iterator[list[str]]:
    """Die before the statement of that number; yields those that ran."""
    ran: list[str] = []

    def execute(run: Any, sql: str, *rest: Any) -> Any:
        if len(ran) == number:
            raise Killed
        ran.append(sql)
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield ran


def state() -> tuple[Any, ...]:
    tasks = Task.objects.order_by("scheduled_at").values_list("scheduled_at", "status", "hold")
    return list(tasks), list(Schedule.objects.values_list("next_slot", "next_due", "paused", "revision"))


ACTS = {
    "fire": lambda schedule: schedules.fire(schedule.pk, at(13)),
    "fire all": lambda schedule: schedules.fire(schedule.pk, at(15, 20)),
    "update": lambda schedule: schedules.update(schedule.pk, {"cron_expression": "5 * * * *"}, at(12, 40)),
    "pause": lambda schedule: schedules.pause(schedule.pk),
    "delete": lambda schedule: schedules.delete(schedule.pk),
}


def tried(act: str, number: int) -> tuple[bool, Any, Any]:
    """Whether a scheduler could die at that statement of an act; what it left; and what another one's act made of it."""
    schedule = make(misfire_policy="FIRE_ALL")
    dies = False
    with killed_at(number):
        try:
            ACTS[act](schedule)
        except Killed:
            dies = True
    left = state()
    if dies and Schedule.objects.filter(pk=schedule.pk, revision=1).exists():
        ACTS[act](schedule)
    made = state()
    Task.objects.all().delete()
    Schedule.objects.all().delete()
    return dies, left, made


@pytest.mark.parametrize("act", ACTS)
def test_one_that_dies_at_any_statement_leaves_nothing_half_done(act):
    make(misfire_policy="FIRE_ALL")
    before = state()
    Task.objects.all().delete()
    Schedule.objects.all().delete()
    _, done, _ = tried(act, -1)
    assert done != before

    number, undone = 0, 0
    while (outcome := tried(act, number))[0]:
        _, left, made = outcome
        assert left in (before, done), number
        assert made == done, number
        number, undone = number + 1, undone + (left == before)

    assert undone > 3


def test_schedulers_whose_clocks_are_half_a_minute_apart_fire_each_slot_once():
    schedule = make("* * * * *")

    for minute in range(31, 50):
        assert schedules.fire(schedule.pk, at(12, minute - 1, 30)) is None  # half a minute behind
        assert schedules.fire(schedule.pk, at(12, minute))
        assert schedules.fire(schedule.pk, at(12, minute - 1, 31)) is None

    assert slots(schedule) == [(f"12:{minute}", QUEUED) for minute in range(31, 50)] + [("12:50", PENDING)]


def test_a_clock_that_is_ahead_takes_slots_early_and_none_of_them_comes_again():
    schedule = make("* * * * *")
    assert schedules.fire(schedule.pk, at(12, 31))

    assert schedules.fire(schedule.pk, at(12, 31, 29)) is None
    assert schedules.fire(schedule.pk, at(12, 32)) and schedules.fire(schedule.pk, at(12, 32)) is None
    assert schedules.fire(schedule.pk, at(12, 31, 59)) is None

    assert slots(schedule) == [("12:31", QUEUED), ("12:32", QUEUED), ("12:33", PENDING)]
    assert again(schedule).revision == 3
