"""Tasks that are kept for a worker that is cut off for longer than its lease: for how long, and who ends it sooner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dtq_site.foundation.errors import Conflict, NotFound
from tasks import lifecycle
from tasks.domain.lease import RenewalVerdict, WhenLost
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.support.factories import (
    LEASE,
    POLICY,
    START,
    WORKER,
    after,
    claim,
    claimed,
    completed,
    create,
    lease_of,
    no_jitter,
    reap,
    reread,
    row,
    settle,
)

HOLD = timedelta(days=7)
ENDS = START + LEASE + HOLD


def held(**fields) -> Task:
    """A task whose worker has renewed its lease once, and was not heard of since."""
    task = claimed(**{"when_lost": WhenLost.HOLD, **fields})
    lifecycle.renew([lease_of(task)], LEASE, START, HOLD)
    return reread(task)


def test_a_renewal_says_until_when_a_task_is_held_and_of_one_that_is_reassigned_nothing():
    task, other = claimed(when_lost=WhenLost.HOLD), claimed()
    before = row(task), row(other)

    lifecycle.renew([lease_of(task), lease_of(other)], LEASE, after(5), HOLD)

    renewed = {"lease_expires_at": after(5) + LEASE}
    assert row(task) == before[0] | renewed | {"held_until": after(5) + LEASE + HOLD}
    assert row(other) == before[1] | renewed


def test_a_worker_that_cannot_be_cut_off_holds_nothing_beyond_its_lease():
    task = claimed(when_lost=WhenLost.HOLD)
    lifecycle.renew([lease_of(task)], LEASE, START)

    assert [each.pk for each in reap(after(60))] == [task.pk]


def test_a_claim_that_nobody_confirmed_holds_nothing():
    task = claimed(when_lost=WhenLost.HOLD)

    assert [each.pk for each in reap(after(60))] == [task.pk]


def test_what_is_held_is_not_taken_back_before_the_hold_has_ended():
    task = held()
    before = row(task)

    assert reap(ENDS - timedelta(seconds=1)) == []
    assert row(task) == before

    assert [each.pk for each in reap(ENDS + timedelta(seconds=1))] == [task.pk]
    assert (reread(task).status, reread(task).held_until) == (TaskStatus.QUEUED, None)


def test_others_are_taken_back_beside_what_is_held():
    task, other = held(), claimed()

    assert [each.pk for each in reap(after(60))] == [other.pk]
    assert reread(task).status == TaskStatus.PROCESSING


def test_a_worker_that_is_back_goes_on_with_what_was_held_for_it():
    task = held()
    late = START + timedelta(days=3)

    assert lifecycle.renew([lease_of(task)], LEASE, late, HOLD) == {lease_of(task): RenewalVerdict.RENEWED}
    assert reread(task).held_until == late + LEASE + HOLD
    assert settle(completed(lease_of(task), "done"), now=late) == [OutcomeVerdict.ACCEPTED]
    assert (reread(task).status, reread(task).result, reread(task).held_until) == (TaskStatus.COMPLETED, "done", None)


@pytest.mark.parametrize("end", ["release", "forfeit"])
def test_what_its_worker_gives_back_is_held_no_longer(end):
    task = held()
    if end == "release":
        lifecycle.release([lease_of(task)], after(60))
    else:
        lifecycle.forfeit([lease_of(task)], POLICY, no_jitter, after(60))

    assert (reread(task).status, reread(task).held_until) == (TaskStatus.QUEUED, None)
    assert [each.held_until for each in claim([task], after(61), worker=WORKER)] == [None]


def test_reassigned_it_is_taken_back_when_its_lease_has_ended_and_not_sooner():
    task = held()
    before = row(task)

    lifecycle.reassign(task.pk, after(5))

    assert row(task) == before | {"held_until": None, "version": before["version"] + 1, "updated_at": after(5)}
    assert reap(after(10)) == []
    assert [each.pk for each in reap(after(20))] == [task.pk]


def test_only_what_is_held_can_be_reassigned():
    tasks = [claimed(), create(), claimed(when_lost=WhenLost.HOLD)]
    before = [row(task) for task in tasks]

    for task in tasks:
        with pytest.raises(Conflict):
            lifecycle.reassign(task.pk, after(5))
    with pytest.raises(NotFound):
        lifecycle.reassign(WORKER, after(5))
    assert [row(task) for task in tasks] == before


def test_cancelled_after_its_lease_it_can_be_retried_at_once():
    task = held()

    cancelled = lifecycle.cancel(task.pk, after(60))
    assert (cancelled.status, cancelled.held_until) == (TaskStatus.CANCELLED, None)
    assert lifecycle.retry(task.pk, after(61)).status == TaskStatus.QUEUED
    assert settle(completed(lease_of(task)), now=after(62)) == [OutcomeVerdict.STALE_LEASE]
