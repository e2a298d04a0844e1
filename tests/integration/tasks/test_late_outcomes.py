"""Reports that come after the lease has ended: until when they count."""

import pytest

from tasks import lifecycle
from tasks.domain.states import Hold, TaskStatus
from tests.integration.tasks.attempts import ACCEPTED, DUPLICATE, STALE_LEASE, endings
from tests.support.factories import (
    WORKER,
    after,
    claim,
    claimed,
    completed,
    create,
    discarded,
    failed,
    lease_of,
    reap,
    reread,
    row,
    settle,
)


@pytest.mark.parametrize("begun", [True, False])
def test_the_last_holder_may_still_complete_while_nobody_has_claimed_since(begun):
    task = claimed(begun=begun)
    reap(after(20))

    assert settle(completed(lease_of(task), "late"), now=after(21)) == [ACCEPTED]

    kept = reread(task)
    assert (kept.status, kept.result, kept.settled_token) == (TaskStatus.COMPLETED, "late", 1)
    assert (kept.claim_id, kept.hold, kept.attempts) == (None, Hold.NONE, 1)
    assert claim([task], after(22)) == []
    assert settle(completed(lease_of(task), "later"), now=after(23)) == [DUPLICATE]


def test_it_may_do_so_through_a_backoff_and_its_end():
    task = twice_lost()
    assert reread(task).status == TaskStatus.PENDING

    assert lifecycle.promote(after(60)) == 1
    assert reread(task).status == TaskStatus.QUEUED

    assert settle(completed(lease_of(task)), now=after(61)) == [ACCEPTED]
    assert reread(task).status == TaskStatus.COMPLETED


def twice_lost():
    task = claimed(begun=True)
    reap(after(20))
    (won,) = claim([task], after(21))
    lifecycle.mark_begun([lease_of(won)], after(21))
    reap(after(40))
    return won


def test_it_may_not_fail_it_for_the_lost_attempt_is_counted_already():
    task = claimed(begun=True)
    reap(after(20))
    before = row(task)

    assert settle(failed(lease_of(task)), now=after(21)) == [STALE_LEASE]
    assert settle(discarded(lease_of(task)), now=after(21)) == [STALE_LEASE]
    assert row(task) == before


def test_after_another_claim_it_is_too_late():
    task = claimed()
    reap(after(20))
    (won,) = claim([task], after(21))

    assert settle(completed(lease_of(task)), now=after(22)) == [STALE_LEASE]
    assert settle(completed(lease_of(won)), now=after(23)) == [ACCEPTED]


@pytest.mark.parametrize("changes", [{"payload": {"new": 1}}, {"scheduled_at": after(90)}], ids=["payload", "later"])
def test_after_a_change_it_is_too_late(changes):
    task = claimed(begun=True)
    reap(after(20))
    lifecycle.update(task.pk, changes, after(21))
    before = row(task)

    assert settle(completed(lease_of(task)), now=after(22)) == [STALE_LEASE]
    assert row(task) == before
    assert (before["claim_id"], before["begun"]) == (None, False)


def test_a_change_leaves_the_worker_of_a_cancelled_attempt_to_be_told():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))

    lifecycle.update(task.pk, {"priority": 9}, after(3))

    kept = reread(task)
    assert (kept.claim_id, kept.lease_owner, kept.lease_expires_at) == (task.claim_id, WORKER, task.lease_expires_at)


def test_after_a_cancellation_and_a_retry_it_is_too_late():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))

    assert settle(completed(lease_of(task)), now=after(3)) == [STALE_LEASE]
    lifecycle.promote(after(60))
    before = row(task)
    assert before["status"] == TaskStatus.QUEUED
    assert settle(completed(lease_of(task)), now=after(61)) == [STALE_LEASE]
    assert row(task) == before


def test_once_it_is_a_dead_letter_it_is_too_late():
    task = claimed(begun=True, max_retries=0)
    reap(after(20))
    before = row(task)

    assert settle(completed(lease_of(task)), now=after(21)) == [STALE_LEASE]
    assert row(task) == before


@pytest.mark.parametrize("stale_last", [True, False])
def test_of_two_reports_of_one_task_in_a_batch_each_is_judged_for_itself(stale_last):
    task = claimed()
    stale = lease_of(task)
    reap(after(20))
    (won,) = claim([task], after(21))
    batch = [completed(lease_of(won), "mine"), completed(stale, "stale")]

    verdicts = settle(*(batch if stale_last else batch[::-1]), now=after(22))

    assert verdicts == ([ACCEPTED, STALE_LEASE] if stale_last else [STALE_LEASE, ACCEPTED])
    assert (reread(task).status, reread(task).result) == (TaskStatus.COMPLETED, "mine")
    assert endings(task)[1:] == [("refused", 1, 1, "a report of COMPLETED came after the lease was lost")]


def test_a_report_that_is_sent_again_beside_that_of_the_next_attempt_is_known():
    task = claimed()
    first = failed(lease_of(task))
    settle(first, now=after(1))
    lifecycle.promote(after(2))
    (won,) = claim([task], after(3))

    assert settle(completed(lease_of(won), "mine"), first, now=after(4)) == [ACCEPTED, DUPLICATE]
    assert (reread(task).status, reread(task).result, reread(task).failures) == (TaskStatus.COMPLETED, "mine", 1)


def test_a_stale_report_gains_nothing_from_a_newer_claim_of_the_same_task_beside_it():
    task = claimed()
    stale = lease_of(task)
    reap(after(20))
    (other,) = claim([create()], after(20))
    reap(after(40))
    won = {each.pk: lease_of(each) for each in claim([task, other], after(41))}
    before = row(task)

    assert won[task.pk].fencing_token == won[other.pk].fencing_token == 2
    assert settle(completed(stale), completed(won[other.pk]), now=after(42)) == [STALE_LEASE, ACCEPTED]
    assert row(task) == before
