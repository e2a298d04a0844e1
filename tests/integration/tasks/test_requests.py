"""What people ask for: cancel, retry, update, delete."""

import uuid

import pytest

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.errors import Conflict, NotFound
from tasks import lifecycle
from tasks.domain.lease import RenewalVerdict
from tasks.domain.priority import rank
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.models import Queue, Task
from tests.support.factories import (
    LEASE,
    START,
    after,
    claim,
    claimed,
    completed,
    create,
    failed,
    in_state,
    lease_of,
    reread,
    row,
    settle,
    waiting,
)

ENDED_OTHERWISE = sorted(TERMINAL - {TaskStatus.CANCELLED})
ALIVE = [TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.PROCESSING]


@pytest.mark.parametrize(
    "verb",
    [
        lambda id_: lifecycle.cancel(id_, START),
        lambda id_: lifecycle.retry(id_, START),
        lambda id_: lifecycle.update(id_, {"priority": 1}, START),
        lambda id_: lifecycle.delete(id_, START),
    ],
    ids=["cancel", "retry", "update", "delete"],
)
def test_a_task_that_is_not_there_is_not_found(verb):
    with pytest.raises(NotFound):
        verb(uuid.uuid4())


# --- cancel --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ALIVE)
def test_what_has_not_ended_is_cancelled_at_once(status):
    task = in_state(status)

    answered = lifecycle.cancel(task.pk, after(5))

    kept = reread(task)
    assert (kept.status, kept.hold, kept.completed_at) == (TaskStatus.CANCELLED, Hold.NONE, after(5))
    assert (answered.status, answered.version, kept.version) == (TaskStatus.CANCELLED, kept.version, task.version + 1)


def test_a_running_one_keeps_its_lease_and_its_worker_hears_of_it():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))

    assert reread(task).lease_expires_at == START + LEASE
    assert lifecycle.renew([lease_of(task)], LEASE, after(2)) == {lease_of(task): RenewalVerdict.CANCELLED}
    assert reread(task).lease_expires_at == START + LEASE


def test_a_cancelled_task_is_answered_as_it_is():
    task = in_state(TaskStatus.CANCELLED)
    before = row(task)

    assert lifecycle.cancel(task.pk, after(5)).pk == task.pk
    assert row(task) == before


@pytest.mark.parametrize("status", ENDED_OTHERWISE)
def test_what_has_ended_otherwise_cannot_be_cancelled(status):
    task = in_state(status)
    before = row(task)

    with pytest.raises(Conflict) as refusal:
        lifecycle.cancel(task.pk, after(5))

    assert refusal.value.details == {"status": status}
    assert row(task) == before


# --- retry ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [TaskStatus.FAILED, TaskStatus.DEAD_LETTER, TaskStatus.CANCELLED])
def test_an_ended_task_runs_again_now_with_all_its_attempts(status):
    task = in_state(status, max_retries=0)

    lifecycle.retry(task.pk, after(100))

    kept = reread(task)
    assert (kept.status, kept.scheduled_at, kept.queued_at) == (TaskStatus.QUEUED, after(100), after(100))
    assert (kept.error, kept.result, kept.progress, kept.started_at, kept.completed_at) == ("", None, None, None, None)
    assert (kept.fencing_token, kept.attempts) == (task.fencing_token, task.attempts)
    assert (kept.earlier_attempts, kept.failures, kept.lost_leases) == (task.attempts, 0, 0)
    assert kept.rank == rank(5, milliseconds(after(100)))


def test_a_redriven_dead_letter_has_its_full_backoff_again():
    task = in_state(TaskStatus.DEAD_LETTER)
    Task.objects.filter(pk=task.pk).update(max_retries=1)
    lifecycle.retry(task.pk, after(100))
    statuses = []
    for at in (100, 200):
        lifecycle.promote(after(at))
        (won,) = claim([task], after(at))
        settle(failed(lease_of(won)), now=after(at))
        statuses.append((reread(task).status, reread(task).attempts, reread(task).fencing_token))

    assert statuses == [(TaskStatus.PENDING, 2, 2), (TaskStatus.DEAD_LETTER, 3, 3)]


@pytest.mark.parametrize("status", [*ALIVE, TaskStatus.COMPLETED])
def test_from_another_state_there_is_nothing_to_retry(status):
    task = in_state(status)
    before = row(task)

    with pytest.raises(Conflict):
        lifecycle.retry(task.pk, after(5))

    assert row(task) == before


def test_while_the_cancelled_attempt_may_still_run_the_task_waits():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))

    lifecycle.retry(task.pk, after(2))

    kept = reread(task)
    assert (kept.status, kept.hold, kept.scheduled_at) == (TaskStatus.PENDING, Hold.DUE, after(2))
    assert kept.lease_expires_at == START + LEASE


def test_no_detour_lets_a_task_run_beside_its_cancelled_attempt():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(2))
    lifecycle.cancel(task.pk, after(3))
    assert reread(task).lease_expires_at == START + LEASE

    lifecycle.retry(task.pk, after(4))
    lifecycle.update(task.pk, {"scheduled_at": after(4)}, after(5))
    lifecycle.update(task.pk, {"scheduled_at": None}, after(5))

    assert reread(task).status == TaskStatus.PENDING
    assert lifecycle.promote(after(6)) == 0
    assert lifecycle.renew([lease_of(task)], LEASE, after(6)) == {lease_of(task): RenewalVerdict.CANCELLED}
    assert lifecycle.promote(after(15)) == 1


def test_after_the_lease_s_end_it_does_not_wait():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))

    lifecycle.retry(task.pk, after(15))

    kept = reread(task)
    assert (kept.status, kept.claim_id, kept.lease_expires_at) == (TaskStatus.QUEUED, None, None)


# --- update --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.QUEUED])
def test_what_has_not_started_can_be_changed(status):
    task = in_state(status)

    lifecycle.update(task.pk, {"title": "new", "payload": {"a": 1}, "queue": "mail", "max_retries": 9}, after(5))

    kept = reread(task)
    assert (kept.title, kept.payload, kept.queue, kept.max_retries) == ("new", {"a": 1}, "mail", 9)
    assert (kept.status, kept.rank, kept.version, kept.updated_at) == (status, task.rank, task.version + 1, after(5))
    assert Queue.objects.filter(name="mail").exists()


@pytest.mark.parametrize("status", sorted(set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.QUEUED}))
def test_what_has_started_cannot_be_changed(status):
    task = in_state(status)
    before = row(task)

    with pytest.raises(Conflict):
        lifecycle.update(task.pk, {"title": "new"}, after(5))

    assert row(task) == before


def test_the_coming_occurrence_of_a_schedule_cannot_be_changed():
    task = create(scheduled_at=after(60), hold=Hold.SCHEDULE)
    before = row(task)

    with pytest.raises(Conflict, match="change the schedule"):
        lifecycle.update(task.pk, {"priority": 1}, after(5))

    assert row(task) == before


def test_a_new_priority_moves_the_task_and_keeps_its_moment():
    due = waiting()
    lifecycle.promote(after(61))
    ready = create(after(3))

    for task in (due, ready):
        lifecycle.update(task.pk, {"priority": 10}, after(100))

    assert reread(ready).rank == rank(10, milliseconds(after(3)))
    assert reread(due).rank == rank(10, milliseconds(after(60)))


def test_a_queued_task_that_is_put_off_waits_again():
    task = create()

    lifecycle.update(task.pk, {"scheduled_at": after(60)}, after(5))

    kept = reread(task)
    assert (kept.status, kept.hold, kept.queued_at, kept.scheduled_at) == (
        TaskStatus.PENDING,
        Hold.DUE,
        None,
        after(60),
    )
    assert kept.rank == rank(5, milliseconds(after(60)))


def test_a_waiting_task_that_is_moved_forward_is_ready():
    task = waiting()

    lifecycle.update(task.pk, {"scheduled_at": after(1)}, after(5))

    kept = reread(task)
    assert (kept.status, kept.hold, kept.queued_at) == (TaskStatus.QUEUED, Hold.NONE, after(5))
    assert kept.rank == rank(5, milliseconds(after(5)))


def test_a_queued_task_keeps_its_place_when_its_moment_stays_in_the_past():
    task = create()

    lifecycle.update(task.pk, {"scheduled_at": after(1)}, after(5))

    kept = reread(task)
    assert (kept.status, kept.queued_at, kept.rank, kept.scheduled_at) == (
        TaskStatus.QUEUED,
        START,
        task.rank,
        after(1),
    )


def test_a_moment_and_a_priority_can_change_together():
    task = create()

    lifecycle.update(task.pk, {"priority": 20, "scheduled_at": after(60)}, after(5))

    assert reread(task).rank == rank(20, milliseconds(after(60)))


# --- delete --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_can_be_deleted(status):
    task = in_state(status)

    lifecycle.delete(task.pk, START)

    assert not Task.objects.exists()


@pytest.mark.parametrize("status", ALIVE)
def test_what_has_not_ended_cannot(status):
    task = in_state(status)
    before = row(task)

    with pytest.raises(Conflict):
        lifecycle.delete(task.pk, START)

    assert row(task) == before


def test_a_holder_of_a_deleted_task_has_lost_it():
    task = claimed()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.delete(task.pk, START)

    assert lifecycle.renew([lease_of(task)], LEASE, after(2)) == {lease_of(task): RenewalVerdict.LOST}
    assert settle(completed(lease_of(task)), now=after(2)) == ["STALE_LEASE"]
    assert lifecycle.release([lease_of(task)], after(2)) == 0
