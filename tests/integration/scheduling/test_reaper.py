"""The duty that takes back the tasks of workers that are gone, each round as of a moment that the test names."""

from __future__ import annotations

import pytest

from scheduling.duties import reaper
from scheduling.duties.reaper import Reaper
from tasks.domain.states import TaskStatus
from tests.integration.scheduling.performing import Leading, make_duty
from tests.support.factories import after, claimed, reread


@pytest.mark.parametrize("up_since", [None, after(86), after(100)])
def test_the_reaper_waits_one_lease_after_leaders_began_to_renew(up_since):
    task = claimed()
    duty, heard = make_duty(Reaper, Leading(up_since=up_since))

    duty.perform(after(100))

    assert reread(task).status == TaskStatus.PROCESSING
    assert heard.events == []


def test_then_it_takes_back_what_nobody_renews():
    lost, held = claimed(begun=True), claimed(after(99))
    duty, heard = make_duty(Reaper, Leading(up_since=after(85)))

    assert duty.perform(after(100)) == 1.0

    assert (reread(lost).status, reread(held).status) == (TaskStatus.QUEUED, TaskStatus.PROCESSING)
    (told,) = heard.named("lease.reaped")
    assert told.facts == {"task": str(lost.pk), "name": "job", "now": "QUEUED", "losses": 1}


def test_after_a_full_batch_it_goes_on_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaper, "BATCH", 2)
    for _ in range(3):
        claimed()
    duty, _ = make_duty(Reaper, Leading(up_since=after(85)))

    assert [duty.perform(after(100)) for _ in range(2)] == [0.0, 1.0]
    assert duty.progress.account.treated == 3
