"""The duty that takes back the tasks of workers that are gone, each round as of a moment that the test names."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dtq_site.foundation.observer import Observer
from scheduling.duties import reaper
from scheduling.duties.reaper import Reaper
from scheduling.runtime.leader import Leader
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tests.integration.scheduling.performing import Leading, make_duty
from tests.support.factories import ManualClock, after, claimed, reread


@pytest.mark.parametrize("up_since", [after(86), after(100)])
def test_the_reaper_waits_one_lease_after_leaders_began_to_renew(up_since):
    task = claimed()
    duty, heard = make_duty(Reaper, Leading(up_since=up_since))

    duty.perform(after(100))

    assert reread(task).status == TaskStatus.PROCESSING
    assert heard.events == []


@pytest.mark.parametrize("renewed_first", [True, False])
def test_a_step_of_the_clock_is_no_time_in_which_workers_could_have_renewed(renewed_first):
    clock = ManualClock()
    leader = Leader(Observer(), clock, timedelta(seconds=6))
    for second in range(60):
        clock.moment = after(second)
        leader.run_once()
    running = claimed(after(59), begun=True)

    clock.moment = after(59 + 20)
    if renewed_first:
        leader.run_once()
    Reaper(Observer(), clock, leader).run_once()

    assert reread(running).status == TaskStatus.PROCESSING


def test_then_it_takes_back_what_nobody_renews():
    lost, held = claimed(begun=True), claimed(after(99))
    duty, heard = make_duty(Reaper, Leading(up_since=after(85)))

    assert duty.perform(after(100)) == 1.0

    assert (reread(lost).status, reread(held).status) == (TaskStatus.QUEUED, TaskStatus.PROCESSING)
    (told,) = heard.named("lease.reaped")
    assert told.facts == {"task": str(lost.pk), "name": "job", "now": "QUEUED", "losses": 1}


@pytest.mark.parametrize(("begun", "attempts"), [(False, 0), (True, 1)])
def test_the_attempt_of_a_cancelled_task_that_nobody_acknowledged_is_forgotten_when_its_lease_has_ended(
    begun, attempts
):
    task = claimed(begun=begun)
    lifecycle.cancel(task.pk, after(1))
    duty, _ = make_duty(Reaper, Leading(up_since=after(-100)))

    duty.perform(after(14))
    assert (reread(task).attempts, reread(task).lease_owner) == (1, task.lease_owner)
    duty.perform(after(16))

    assert (reread(task).status, reread(task).attempts) == (TaskStatus.CANCELLED, attempts)
    assert (reread(task).lease_owner, reread(task).lease_expires_at, reread(task).begun) == (None, None, False)
    assert duty.progress.account.treated == 1


def test_one_that_was_retried_and_cancelled_again_meanwhile_counts_no_attempt_either():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))
    lifecycle.cancel(task.pk, after(3))
    duty, _ = make_duty(Reaper, Leading(up_since=after(-100)))

    duty.perform(after(16))

    assert (reread(task).attempts, reread(task).earlier_attempts) == (0, 0)


def test_after_a_full_batch_it_goes_on_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaper, "BATCH", 2)
    for _ in range(3):
        claimed()
    duty, _ = make_duty(Reaper, Leading(up_since=after(85)))

    assert [duty.perform(after(100)) for _ in range(2)] == [0.0, 1.0]
    assert duty.progress.account.treated == 3
