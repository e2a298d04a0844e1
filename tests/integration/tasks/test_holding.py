"""What the holder of a lease may do, and what a late holder may not."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tasks import lifecycle
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.queue.database_index import DatabaseIndex
from tests.support.factories import (
    LEASE,
    POLICY,
    START,
    after,
    claim,
    claimed,
    create,
    lease_of,
    no_jitter,
    reap,
    reread,
    row,
)

RENEWED, LOST, CANCELLED = RenewalVerdict.RENEWED, RenewalVerdict.LOST, RenewalVerdict.CANCELLED


def renew(*leases: Lease, now=START) -> list[RenewalVerdict]:
    verdicts = lifecycle.renew(leases, LEASE, now)
    return [verdicts[lease] for lease in leases]


def forfeit(*leases: Lease, now=START) -> list:
    return lifecycle.forfeit(leases, POLICY, no_jitter, now)


def false_leases(task) -> list[Lease]:
    lease = lease_of(task)
    return [
        replace(lease, fencing_token=lease.fencing_token - 1),
        replace(lease, fencing_token=lease.fencing_token + 1),
        replace(lease, claim_id=uuid4()),
    ]


def test_a_renewal_moves_the_end_of_the_lease_and_nothing_else():
    task = claimed()
    before = row(task)

    assert renew(lease_of(task), now=after(5)) == [RENEWED]
    assert row(task) == before | {"lease_expires_at": after(5) + LEASE}


def test_a_lease_that_has_ended_can_be_renewed_while_nobody_has_taken_it():
    task = claimed()

    assert renew(lease_of(task), now=after(60)) == [RENEWED]
    assert reap(after(61)) == []


def test_a_false_lease_is_lost_and_changes_nothing():
    task = claimed(begun=False)
    before = row(task)

    for lease in false_leases(task):
        assert renew(lease, now=after(1)) == [LOST]
        assert lifecycle.mark_begun([lease], after(1)) == set()
        assert lifecycle.release([lease], after(1)) == 0
        lifecycle.note_progress({lease: 50}, after(1))

    assert row(task) == before


def test_a_late_holder_is_refused_while_the_present_one_goes_on():
    task = claimed()
    late = lease_of(task)
    reap(after(20))
    (won,) = claim([task], after(21))
    before = row(task)

    assert renew(late, now=after(22)) == [LOST]
    assert lifecycle.mark_begun([late], after(22)) == set()
    assert lifecycle.release([late], after(22)) == 0
    assert row(task) == before
    assert renew(lease_of(won), now=after(22)) == [RENEWED]


def test_after_the_lease_was_reaped_it_cannot_be_renewed():
    task = claimed()
    reap(after(20))
    before = row(task)

    assert renew(lease_of(task), now=after(21)) == [LOST]
    assert row(task) == before


def test_a_renewal_tells_each_lease_apart():
    running, cancelled, gone = claimed(), claimed(), claimed()
    lifecycle.cancel(cancelled.pk, after(1))
    unknown = Lease(uuid4(), 1, uuid4())
    lifecycle.release([lease_of(gone)], after(1))

    assert renew(lease_of(running), lease_of(cancelled), lease_of(gone), unknown, now=after(2)) == [
        RENEWED,
        CANCELLED,
        LOST,
        LOST,
    ]


def test_the_start_of_an_attempt_is_noted():
    task, other = claimed(), claimed()

    assert lifecycle.mark_begun([lease_of(task)], after(1)) == {lease_of(task)}
    assert (reread(task).begun, reread(other).begun) == (True, False)
    assert reread(task).version == task.version


def test_progress_is_kept_and_is_an_observable_change():
    task = claimed()

    lifecycle.note_progress({lease_of(task): 40}, after(1))

    kept = reread(task)
    assert (kept.progress, kept.version, kept.updated_at) == (40, task.version + 1, after(1))


# --- giving back ---------------------------------------------------------------------------------------------------


def test_a_release_gives_the_attempt_back_and_keeps_the_place():
    task = create()
    before = row(task)
    (won,) = claim([task], after(1))

    assert lifecycle.release([lease_of(won)], after(2)) == 1

    assert row(task) == before | {"fencing_token": 1, "version": 3, "updated_at": after(2)}


def test_a_released_task_goes_before_those_that_came_later():
    first = create()
    create(after(1))
    (won,) = claim([first], after(2))
    lifecycle.release([lease_of(won)], after(3))

    assert DatabaseIndex().take("default", {"job"}, 1)[0].id == first.pk


def test_several_are_released_at_once_and_each_once():
    tasks = [claimed(max_retries=n) for n in range(3)]
    leases = [lease_of(task) for task in tasks]

    assert lifecycle.release(leases, after(1)) == 3
    assert lifecycle.release(leases, after(2)) == 0
    assert {reread(task).status for task in tasks} == {TaskStatus.QUEUED}
    assert {reread(task).updated_at for task in tasks} == {after(1)}


def test_a_cancelled_task_that_is_given_back_has_not_been_attempted():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    assert renew(lease_of(task), now=after(2)) == [CANCELLED]

    assert lifecycle.release([lease_of(task)], after(3)) == 1
    assert lifecycle.release([lease_of(task)], after(4)) == 0

    kept = reread(task)
    assert (kept.status, kept.attempts, kept.completed_at) == (TaskStatus.CANCELLED, 0, after(1))
    assert (kept.lease_owner, kept.claim_id, kept.lease_expires_at) == (None, None, None)
    assert renew(lease_of(task), now=after(4)) == [LOST]


def test_the_attempt_of_a_cancelled_task_that_had_begun_counts_when_it_has_stopped():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))

    assert forfeit(lease_of(task), now=after(3)) == []

    kept = reread(task)
    assert (kept.status, kept.attempts, kept.completed_at) == (TaskStatus.CANCELLED, 1, after(1))
    assert (kept.lease_owner, kept.claim_id, kept.lease_expires_at) == (None, None, None)


def test_what_is_cancelled_retried_and_cancelled_again_counts_no_attempt_either_when_it_is_given_back():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))
    lifecycle.cancel(task.pk, after(3))

    assert lifecycle.release([lease_of(task)], after(4)) == 1

    kept = reread(task)
    assert (kept.status, kept.attempts, kept.earlier_attempts) == (TaskStatus.CANCELLED, 0, 0)


def test_a_lost_attempt_is_not_forgotten_twice_when_its_holder_gives_it_back():
    task = claimed()
    assert lifecycle.mark_begun([lease_of(task)], after(1)) == {lease_of(task)}
    reap(after(20))
    lost = reread(task)
    assert (lost.attempts, lost.lost_leases) == (1, 1)

    lifecycle.release([lease_of(task)], after(21))

    kept = reread(task)
    assert (kept.status, kept.attempts, kept.earlier_attempts) == (lost.status, 1, 0)


@pytest.mark.parametrize("begun", [False, True])
def test_the_end_of_its_attempt_frees_a_cancelled_task_that_was_retried_meanwhile(begun):
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))
    assert (reread(task).status, reread(task).hold) == (TaskStatus.PENDING, Hold.DUE)
    assert renew(lease_of(task), now=after(3)) == [CANCELLED]
    assert lifecycle.promote(after(3)) == 0

    if begun:
        forfeit(lease_of(task), now=after(3))
    else:
        lifecycle.release([lease_of(task)], after(3))

    assert lifecycle.promote(after(3)) == 1
    kept = reread(task)
    assert (kept.status, kept.attempts, kept.earlier_attempts) == (TaskStatus.QUEUED, int(begun), int(begun))


@pytest.mark.parametrize("lease", [timedelta(seconds=1), timedelta(hours=1)])
def test_a_renewal_has_the_length_that_is_asked_for(lease):
    task = claimed()

    lifecycle.renew([lease_of(task)], lease, after(3))

    assert reread(task).lease_expires_at == after(3) + lease


@pytest.mark.parametrize("stale_last", [True, False])
def test_of_two_leases_of_one_task_in_a_request_each_is_judged_for_itself(stale_last):
    task = claimed()
    stale = lease_of(task)
    reap(after(20))
    (won,) = claim([task], after(21))
    leases = [lease_of(won), stale] if stale_last else [stale, lease_of(won)]

    assert lifecycle.renew(leases, LEASE, after(22)) == {lease_of(won): RENEWED, stale: LOST}
    assert lifecycle.mark_begun(leases, after(23)) == {lease_of(won)}
    assert lifecycle.release(leases, after(24)) == 1
    assert reread(task).status == TaskStatus.QUEUED


def test_a_stale_lease_gains_nothing_from_a_newer_claim_of_the_same_task_beside_it():
    task = claimed()
    stale = lease_of(task)
    reap(after(20))
    (other,) = claim([create()], after(20))
    reap(after(40))
    won = {each.pk: lease_of(each) for each in claim([task, other], after(41))}
    before = row(task)

    assert won[task.pk].fencing_token == won[other.pk].fencing_token == 2
    leases = [stale, won[other.pk]]
    assert lifecycle.renew(leases, LEASE, after(42)) == {stale: LOST, won[other.pk]: RENEWED}
    assert lifecycle.mark_begun(leases, after(42)) == {won[other.pk]}
    assert lifecycle.release(leases, after(42)) == 1
    assert row(task) == before
