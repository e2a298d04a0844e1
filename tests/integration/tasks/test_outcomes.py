"""Reports: each attempt's end is recorded once, and only the holder's."""

import pytest

from dtq_site.foundation.clock import milliseconds
from tasks import lifecycle
from tasks.domain.lease import Lease
from tasks.domain.priority import rank
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


@pytest.mark.parametrize("result", [None, 0, False, "", "text", [1, {"a": None}], {"grün": 2**60}, 1.5])
def test_a_success_keeps_its_result(result):
    task = claimed()

    assert settle(completed(lease_of(task), result), now=after(1)) == [ACCEPTED]

    kept = reread(task)
    assert (kept.status, kept.result, kept.error, kept.completed_at) == (TaskStatus.COMPLETED, result, "", after(1))
    assert (kept.settled_token, kept.attempts, kept.version) == (1, 1, task.version + 1)
    assert (kept.lease_owner, kept.claim_id, kept.lease_expires_at, kept.begun) == (None, None, None, False)
    assert endings(task) == []


def test_a_failure_waits_its_backoff_until_the_attempts_are_used_up():
    task = create(max_retries=3)
    seen, now = [], 0.0
    for _ in range(4):
        (won,) = claim([task], after(now))
        assert settle(failed(lease_of(won), f"at {now:.0f}"), now=after(now)) == [ACCEPTED]
        kept = reread(task)
        wait = (kept.scheduled_at - after(now)).total_seconds() if kept.status == TaskStatus.PENDING else None
        seen.append((kept.status, kept.hold, wait, kept.attempts, kept.failures, kept.retries))
        if wait is not None:
            assert kept.rank == rank(5, milliseconds(kept.scheduled_at))
            assert lifecycle.promote(after(now + wait - 0.001)) == 0
            now += wait
            assert lifecycle.promote(after(now)) == 1

    pending, backoff = TaskStatus.PENDING, Hold.BACKOFF
    assert seen == [
        (pending, backoff, 1, 1, 1, 1),
        (pending, backoff, 2, 2, 2, 2),
        (pending, backoff, 4, 3, 3, 3),
        (TaskStatus.DEAD_LETTER, Hold.NONE, None, 4, 4, 3),
    ]
    assert (reread(task).error, reread(task).completed_at) == ("at 7", after(7))
    assert endings(task) == [("failed", n + 1, n + 1, f"at {at}") for n, at in enumerate((0, 1, 3, 7))]


def test_a_success_after_a_failure_leaves_no_error():
    task = claimed()
    settle(failed(lease_of(task)))
    lifecycle.promote(after(1))
    (won,) = claim([task], after(1))

    settle(completed(lease_of(won)), now=after(2))

    assert (reread(task).error, reread(task).attempts, reread(task).failures) == ("", 2, 1)


def test_the_handler_s_own_delay_is_kept():
    task = claimed()

    settle(failed(lease_of(task), retry_delay_seconds=90), now=after(1))

    assert reread(task).scheduled_at == after(91)


def test_a_discarded_task_has_failed_for_good():
    task = claimed(max_retries=100)

    assert settle(discarded(lease_of(task), "no such address"), now=after(1)) == [ACCEPTED]

    kept = reread(task)
    assert (kept.status, kept.error, kept.completed_at, kept.retries) == (
        TaskStatus.FAILED,
        "no such address",
        after(1),
        0,
    )
    assert endings(task) == [("discarded", 1, 1, "no such address")]


@pytest.mark.parametrize("report", [completed, failed, discarded])
def test_a_report_that_is_sent_again_is_known_and_changes_nothing(report):
    task = claimed()
    settle(report(lease_of(task)), now=after(1))
    before, known = row(task), endings(task)

    assert settle(report(lease_of(task)), now=after(2)) == [DUPLICATE]
    assert (row(task), endings(task)) == (before, known)


def test_a_second_opinion_on_an_attempt_is_a_duplicate_too():
    task = claimed()
    settle(failed(lease_of(task)), now=after(1))
    before = row(task)

    assert settle(completed(lease_of(task)), now=after(2)) == [DUPLICATE]
    assert row(task) == before


def test_a_report_is_known_again_even_after_a_manual_retry():
    task = claimed()
    settle(discarded(lease_of(task)), now=after(1))
    lifecycle.retry(task.pk, after(2))
    before = row(task)

    assert settle(discarded(lease_of(task)), now=after(3)) == [DUPLICATE]
    assert row(task) == before


def test_a_stale_report_is_refused_and_kept_as_evidence():
    task = claimed(begun=True)
    stale = lease_of(task)
    reap(after(20))
    claim([task], after(21))
    before = row(task)

    assert settle(completed(stale, "late"), now=after(22)) == [STALE_LEASE]

    assert row(task) == before
    assert endings(task)[1:] == [("refused", 2, 1, "a report of COMPLETED came after the lease was lost")]


def test_the_report_of_a_cancelled_task_is_refused():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    before = row(task)

    assert settle(completed(lease_of(task)), now=after(2)) == [STALE_LEASE]
    assert row(task) == before


def test_a_report_for_a_task_that_is_gone_is_stale():
    task = claimed()
    lease = lease_of(task)
    lifecycle.cancel(task.pk, after(1))
    lifecycle.delete(task.pk, after(1))

    assert settle(completed(lease), now=after(2)) == [STALE_LEASE]


def test_a_token_alone_settles_nothing():
    task = create()
    forged = Lease(task.pk, 0, WORKER)
    before = row(task)

    assert settle(completed(forged)) == [STALE_LEASE]
    assert row(task) == before


def test_a_batch_takes_each_report_for_itself():
    good, again, stale, failing, dead, useless = (
        claimed(),
        claimed(),
        claimed(),
        claimed(),
        claimed(max_retries=0),
        claimed(),
    )
    settle(completed(lease_of(again), "first"), now=after(1))
    stale_lease = lease_of(stale)
    lifecycle.release([stale_lease], after(1))

    verdicts = settle(
        completed(lease_of(good), {"a": 1}),
        completed(lease_of(again), "second"),
        completed(stale_lease, "stale"),
        failed(lease_of(failing)),
        failed(lease_of(dead)),
        discarded(lease_of(useless)),
        now=after(2),
    )

    assert verdicts == [ACCEPTED, DUPLICATE, STALE_LEASE, ACCEPTED, ACCEPTED, ACCEPTED]
    tasks = [reread(task) for task in (good, again, stale, failing, dead, useless)]
    assert [(task.status, task.result) for task in tasks] == [
        (TaskStatus.COMPLETED, {"a": 1}),
        (TaskStatus.COMPLETED, "first"),
        (TaskStatus.QUEUED, None),
        (TaskStatus.PENDING, None),
        (TaskStatus.DEAD_LETTER, None),
        (TaskStatus.FAILED, None),
    ]


def test_many_different_results_find_their_own_tasks():
    tasks = [claimed() for _ in range(30)]

    settle(*(completed(lease_of(task), {"n": n % 7}) for n, task in enumerate(tasks)), now=after(1))

    assert [reread(task).result for task in tasks] == [{"n": n % 7} for n in range(30)]
