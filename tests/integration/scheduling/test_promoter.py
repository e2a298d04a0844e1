"""The duty that makes ready what is due: how long it sleeps, and that no queue waits for another."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from scheduling.duties.promoter import GATHERING_SECONDS, SHORTEST_REST_SECONDS, UNTOLD_SECONDS, Promoter
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.scheduling.performing import Leading, make_duty, woken
from tests.support.factories import START, after, claimed, create, failed, lease_of, new_task, reread, settle, waiting
from tests.support.reading import rows_read

pytestmark = pytest.mark.usefixtures("elapsed")


def told() -> tuple[Promoter, Any]:
    """A promoter that is told of every task that waits, and its leader."""
    leader = Leading()
    duty, _ = make_duty(Promoter, leader)
    duty.be_told(True)
    return duty, leader


def test_what_a_round_took_is_part_of_its_rest(elapsed: list[float], monkeypatch: pytest.MonkeyPatch):
    duty, _ = told()
    create(scheduled_at=after(0.5))
    next_due = lifecycle.next_due

    def look_slowly() -> datetime | None:
        elapsed[0] += 0.2
        return next_due()

    monkeypatch.setattr(lifecycle, "next_due", look_slowly)

    assert duty.perform(START) == pytest.approx(0.3)
    assert duty.perform(after(0.4)) == pytest.approx(SHORTEST_REST_SECONDS)


def test_it_sleeps_until_the_next_task_is_due_but_not_for_longer_than_its_period():
    duty, _ = told()
    assert duty.perform(START) == pytest.approx(1.0)
    task = create(scheduled_at=after(1.7))

    assert duty.perform(after(0.5)) == pytest.approx(1.0)
    assert duty.perform(after(1.2)) == pytest.approx(0.5)
    assert reread(task).status == TaskStatus.PENDING
    assert duty.perform(after(1.7)) == pytest.approx(1.0)
    assert reread(task).status == TaskStatus.QUEUED
    assert duty.progress.account.treated == 1


def test_while_nobody_can_tell_it_it_looks_often():
    duty, _ = make_duty(Promoter)
    create(scheduled_at=after(1))

    assert duty.perform(START) == pytest.approx(UNTOLD_SECONDS)
    assert duty.perform(after(0.97)) == pytest.approx(0.03)


def test_the_period_is_a_setting(settings: Any):
    duty, _ = told()
    settings.DTQ_SCHEDULING = type(settings.DTQ_SCHEDULING)(promoter_period=after(0.5) - START)

    assert duty.perform(START) == pytest.approx(0.5)


@pytest.mark.parametrize(("seconds", "wakes"), [(0.3, True), (0.999, True), (1.0, False), (5, False)])
def test_of_what_it_hears_only_what_is_due_before_the_end_of_its_sleep_wakes_it(seconds: float, wakes: bool):
    duty, _ = told()
    duty.perform(START)
    woken(duty)

    duty.hear(after(seconds))

    assert woken(duty) is wakes


def test_what_it_hears_while_it_looks_at_the_rows_makes_it_look_again(monkeypatch: pytest.MonkeyPatch):
    duty, _ = told()
    duty.perform(START)
    woken(duty)
    next_due = lifecycle.next_due

    def heard_meanwhile() -> datetime | None:
        found = next_due()
        duty.hear(after(0.8))
        return found

    monkeypatch.setattr(lifecycle, "next_due", heard_meanwhile)
    duty.perform(START)

    assert woken(duty)


def test_it_looks_at_once_when_it_can_be_told_again_and_when_it_no_longer_can():
    duty, _ = told()
    duty.perform(START)
    woken(duty)

    duty.be_told(True)
    assert not woken(duty)
    duty.be_told(False)
    assert woken(duty)
    duty.be_told(True)
    assert woken(duty)


def test_it_goes_on_at_once_while_there_is_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scheduling.duties.promoter.BATCH", 2)
    for n in range(5):
        create(scheduled_at=after(n + 1))
    duty, _ = told()

    assert [duty.perform(after(60)) for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0)]
    assert Task.objects.filter(status=TaskStatus.QUEUED).count() == 5


def test_a_flood_in_one_queue_keeps_no_other_waiting():
    lifecycle.create([new_task(scheduled_at=after(1), queue="flood") for _ in range(30)], START)
    late = [create(scheduled_at=after(n), queue=queue) for n, queue in enumerate(["mail", "post"], 10)]
    again = claimed(queue="mail")
    settle(failed(lease_of(again)))

    assert lifecycle.promote(after(60), limit=12) == 6

    assert {reread(task).status for task in [*late, again]} == {TaskStatus.QUEUED}
    assert Counter(Task.objects.filter(queue="flood").values_list("status", flat=True)) == {"QUEUED": 3, "PENDING": 27}


def test_of_a_flood_those_go_first_that_are_due_first():
    tasks = [create(scheduled_at=after(10 - n), queue="flood") for n in range(5)]

    lifecycle.promote(after(60), limit=2)

    assert [reread(task).status == TaskStatus.QUEUED for task in tasks] == [False, False, False, True, True]


def test_what_is_due_shortly_after_each_other_goes_together():
    tasks = [create(scheduled_at=after(seconds)) for seconds in (1, 1.001, 1.019, 1.5)]
    duty, _ = told()

    assert duty.perform(after(1)) == pytest.approx(GATHERING_SECONDS)
    assert duty.perform(after(1.02)) == pytest.approx(0.48)

    assert [reread(task).queued_at for task in tasks] == [after(1), after(1.02), after(1.02), None]


def test_it_does_not_spin_on_a_task_that_waits_for_its_cancelled_attempt():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))
    duty, _ = told()

    assert duty.perform(after(3)) == pytest.approx(UNTOLD_SECONDS)


def test_a_promotion_reads_no_payload_and_writes_it_back_unharmed(django_assert_max_num_queries: Any):
    tasks = [waiting(payload={"text": "ä" * 1000, "n": n}) for n in range(3)]

    with django_assert_max_num_queries(12) as asked:
        lifecycle.promote(after(60))

    assert not [query for query in asked.captured_queries if "payload" in query["sql"]]
    assert [reread(task).payload for task in tasks] == [task.payload for task in tasks]


@pytest.mark.long
def test_what_waits_for_long_is_not_read():
    if connection.vendor != "mysql":
        pytest.skip("only MariaDB tells what it reads")
    for start in range(0, 20_000, 1000):
        lifecycle.create([new_task(scheduled_at=after(86_400 + start + n)) for n in range(1000)], START)
    due = create(scheduled_at=after(1))
    settle(failed(lease_of(claimed())))
    lifecycle.next_due()
    reading = rows_read()

    assert lifecycle.next_due() == after(1)
    assert rows_read() - reading < 50
    assert lifecycle.promote(after(60)) == 2
    assert rows_read() - reading < 200

    assert reread(due).status == TaskStatus.QUEUED
