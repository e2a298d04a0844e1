"""Reaping ended leases, promoting what is due, removing what has been kept long enough."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tasks import lifecycle
from tasks.domain.states import Hold, TaskStatus
from tasks.lifecycle import upkeep
from tasks.lifecycle.rows import locked
from tasks.models import Task, TaskAttempt
from tests.support.factories import (
    LEASE,
    POLICY,
    START,
    after,
    claim,
    claimed,
    create,
    failed,
    in_state,
    lease_of,
    no_jitter,
    reap,
    reread,
    row,
    settle,
    waiting,
)

LOST = "worker lost: it stopped renewing its lease"


def lose(task: Task, seconds: float, *, begun: bool = True) -> Task:
    """Claim the task, let its lease end and reap it; `seconds` is when it is claimed."""
    (won,) = claim([task], after(seconds))
    if begun:
        lifecycle.mark_begun([lease_of(won)], after(seconds))
    assert [lost.pk for lost in reap(after(seconds) + LEASE + timedelta(seconds=1))] == [task.pk]
    return reread(task)


def test_only_leases_that_have_ended_are_reaped():
    ended, renewed, fresh = claimed(), claimed(), claimed(after(10))
    lifecycle.renew([lease_of(renewed)], LEASE, after(5))
    before = [row(renewed), row(fresh)]

    assert reap(START + LEASE) == []
    assert reap(START + LEASE + timedelta(microseconds=1)) == [ended]
    assert [row(renewed), row(fresh)] == before


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.PROCESSING])
def test_only_running_tasks_are_reaped(status):
    task = in_state(status)
    before = row(task)

    assert reap(after(86_400)) == []
    assert row(task) == before


def test_the_lease_of_a_cancelled_task_is_not_reaped():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    before = row(task)

    assert reap(after(60)) == []
    assert row(task) == before


def test_a_first_loss_sends_the_task_back_at_once():
    task = lose(create(), 0)

    assert (task.status, task.hold, task.queued_at) == (TaskStatus.QUEUED, Hold.NONE, after(16))
    assert (task.attempts, task.lost_leases, task.failures, task.retries) == (1, 1, 0, 0)
    assert (task.lease_owner, task.lease_expires_at, task.fencing_token) == (None, None, 1)
    assert task.claim_id is not None


def test_an_attempt_that_had_not_begun_is_given_back_and_the_next_start_is_noted_first():
    task = lose(create(), 0, begun=False)

    assert (task.status, task.attempts, task.lost_leases) == (TaskStatus.QUEUED, 0, 1)


def test_from_the_second_loss_on_it_waits_and_after_the_third_it_is_dead():
    task = create(max_retries=100)
    seen = []
    for at in (0, 100, 200, 300):
        lifecycle.promote(after(at))
        lost = lose(task, at)
        wait = (lost.scheduled_at - after(at + 16)).total_seconds() if lost.status == TaskStatus.PENDING else None
        seen.append((lost.status, lost.hold, wait, lost.attempts, lost.lost_leases))

    assert seen == [
        (TaskStatus.QUEUED, Hold.NONE, None, 1, 1),
        (TaskStatus.PENDING, Hold.BACKOFF, 1, 2, 2),
        (TaskStatus.PENDING, Hold.BACKOFF, 2, 3, 3),
        (TaskStatus.DEAD_LETTER, Hold.NONE, None, 4, 4),
    ]
    dead = reread(task)
    assert (dead.error, dead.completed_at, dead.claim_id) == (LOST, after(316), None)


def test_losses_before_the_start_never_make_a_dead_letter():
    task = create(max_retries=0)

    for at in range(0, 1000, 100):
        lost = lose(task, at, begun=False)
        assert (lost.status, lost.attempts, lost.lost_leases) == (TaskStatus.QUEUED, 0, 1)


def test_a_task_without_retries_that_had_begun_is_dead():
    task = lose(create(max_retries=0), 0)

    assert (task.status, task.error, task.attempts) == (TaskStatus.DEAD_LETTER, LOST, 1)


def test_failures_and_losses_use_up_the_same_attempts():
    task = create(max_retries=1)
    (won,) = claim([task])
    settle(failed(lease_of(won)))
    lifecycle.promote(after(10))

    assert lose(task, 10).status == TaskStatus.DEAD_LETTER


def test_every_loss_is_remembered():
    task = lose(create(), 0)

    (kept,) = TaskAttempt.objects.filter(task=task)
    assert (kept.ending, kept.error, kept.attempt, kept.fencing_token, kept.ended_at) == ("lost", LOST, 1, 1, after(16))


def test_no_more_than_the_limit_is_reaped_the_longest_ended_first():
    late, early = claimed(after(5)), claimed(after(1))

    assert lifecycle.reap(POLICY, no_jitter, after(60), limit=1) == [early]
    assert reread(late).status == TaskStatus.PROCESSING


# --- promotion -----------------------------------------------------------------------------------------------------


def test_a_waiting_task_is_ready_when_it_is_due_and_never_before():
    task = waiting()
    before = row(task)

    assert lifecycle.promote(after(59.999999)) == 0
    assert row(task) == before
    assert lifecycle.promote(after(60)) == 1

    kept = reread(task)
    assert (kept.status, kept.hold, kept.queued_at) == (TaskStatus.QUEUED, Hold.NONE, after(60))
    assert (kept.rank, kept.version) == (task.rank, 2)


def test_a_late_promotion_keeps_the_place_of_the_due_moment():
    waiting_one = waiting()
    newer = create(after(65))

    lifecycle.promote(after(70))

    assert claim([newer, waiting_one], after(71)) == [waiting_one, newer]


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.PENDING])
def test_only_pending_tasks_are_promoted(status):
    task = in_state(status)
    before = row(task)

    assert lifecycle.promote(after(86_400)) == 0
    assert row(task) == before


def test_the_occurrence_of_a_schedule_is_left_to_cron_firing():
    task = create(scheduled_at=after(1), hold=Hold.SCHEDULE)

    assert lifecycle.promote(after(60)) == 0
    assert lifecycle.next_due() is None
    assert lifecycle.release_occurrence(task.pk, after(60))
    assert not lifecycle.release_occurrence(task.pk, after(61))
    assert (reread(task).status, reread(task).queued_at) == (TaskStatus.QUEUED, after(60))


def test_a_retried_task_waits_for_the_lease_of_its_cancelled_attempt():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))

    assert lifecycle.promote(after(14.999)) == 0
    assert lifecycle.promote(after(15)) == 1

    kept = reread(task)
    assert (kept.status, kept.claim_id, kept.lease_expires_at, kept.lease_owner) == (
        TaskStatus.QUEUED,
        None,
        None,
        None,
    )


def test_the_limit_takes_the_earliest_due_first():
    late, early = create(scheduled_at=after(20)), create(scheduled_at=after(10))

    assert lifecycle.promote(after(60), limit=1) == 1
    assert (reread(early).status, reread(late).status) == (TaskStatus.QUEUED, TaskStatus.PENDING)
    assert lifecycle.next_due() == after(20)


# --- occurrences and old tasks -------------------------------------------------------------------------------------


def test_a_withdrawn_occurrence_is_gone_with_its_key():
    task = create(scheduled_at=after(60), hold=Hold.SCHEDULE, idempotency_key="schedule:x:1")

    assert lifecycle.withdraw_occurrence(task.pk)

    assert not lifecycle.withdraw_occurrence(task.pk)
    assert create(scheduled_at=after(60), hold=Hold.SCHEDULE, idempotency_key="schedule:x:1").pk != task.pk


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_task_that_is_no_coming_occurrence_is_not_withdrawn_or_released(status):
    task = in_state(status)
    before = row(task)

    assert not lifecycle.withdraw_occurrence(task.pk)
    assert not lifecycle.release_occurrence(task.pk, after(1))
    assert row(task) == before


def test_ended_tasks_are_removed_in_chunks_with_what_is_remembered_of_them():
    old = [in_state(TaskStatus.FAILED) for _ in range(3)]
    young = in_state(TaskStatus.FAILED, after(100))
    alive = [in_state(status) for status in (TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.PROCESSING)]
    other = in_state(TaskStatus.COMPLETED)
    removed = [
        lifecycle.remove_ended({TaskStatus.FAILED, TaskStatus.QUEUED}, after(50), 2, after(50)) for _ in range(3)
    ]

    assert removed == [(2, True), (1, False), (0, False)]
    assert set(Task.objects.all()) == {young, other, *alive}
    assert TaskAttempt.objects.filter(task_id__in=[task.pk for task in old]).count() == 0
    assert TaskAttempt.objects.filter(task=young).count() == 1


def test_a_cancelled_task_stays_until_its_attempt_cannot_run_any_more():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))

    assert lifecycle.remove_ended({TaskStatus.CANCELLED}, after(2), 10, after(14)) == (0, False)
    assert lifecycle.remove_ended({TaskStatus.CANCELLED}, after(2), 10, after(15)) == (1, False)


def test_a_cancelled_occurrence_of_a_schedule_stays_until_it_would_have_been_due():
    coming = waiting(hold=Hold.SCHEDULE)
    Task.objects.filter(pk=coming.pk).update(schedule_id=uuid4())
    other = waiting()
    for task in (coming, other):
        lifecycle.cancel(task.pk, after(1))

    assert lifecycle.remove_ended({TaskStatus.CANCELLED}, after(2), 10, after(59)) == (1, False)
    assert list(Task.objects.all()) == [coming]
    assert lifecycle.remove_ended({TaskStatus.CANCELLED}, after(2), 10, after(60)) == (1, False)


def test_a_task_that_was_retried_meanwhile_does_not_end_the_removal(monkeypatch):
    for _ in range(3):
        in_state(TaskStatus.FAILED)

    def lock_late(task_ids, *guard, **columns):
        lifecycle.retry(task_ids[0], after(51))
        return locked(task_ids, *guard, **columns)

    monkeypatch.setattr(upkeep, "locked", lock_late)

    assert lifecycle.remove_ended({TaskStatus.FAILED}, after(50), 2, after(51)) == (1, True)
    assert sorted(reread(task).status for task in Task.objects.all()) == [TaskStatus.FAILED, TaskStatus.QUEUED]
