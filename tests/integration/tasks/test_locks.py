"""Locks in the life of tasks: who runs, who waits, and who is next, whatever ends an attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import lifecycle, locks, metrics
from tasks.domain.lease import Lease
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.handling import registry
from tasks.models import LockWaiter, NamedLock, Task
from tests.support.factories import (
    LEASE,
    POLICY,
    START,
    after,
    claim,
    completed,
    create,
    discarded,
    failed,
    lease_of,
    new_task,
    no_jitter,
    reap,
    reread,
    row,
    settle,
)

BUSY, LOST = LockAnswer(LockVerdict.BUSY), LockAnswer(LockVerdict.LOST)


def run(now: datetime = START, **fields) -> Task:
    """A task of the lock "a" that runs, and so holds it."""
    (won,) = claim([create(now, lock="a", **fields)], now)
    return reread(won)


def wait(now: datetime = START, **fields) -> Task:
    """A task that waits for the lock "a", which another one holds."""
    task = create(now, **{"lock": "a", **fields})
    assert claim([task], now) == []
    return reread(task)


def state(task: Task) -> tuple[str, str]:
    found = reread(task)
    return (found.status, found.hold)


def holder(name: str = "a") -> tuple[object, int]:
    return NamedLock.objects.values_list("holder_id", "holder_token").get(name=name)


WAITING, READY = (TaskStatus.PENDING, Hold.LOCK), (TaskStatus.QUEUED, Hold.NONE)


# --- taking --------------------------------------------------------------------------------------------------------


def test_of_the_tasks_of_a_lock_one_runs_and_the_others_wait():
    first, second, third, other = create(lock="a"), create(lock="a"), create(lock="b"), create()

    won = claim([second, other, first, third], after(1))

    assert [task.pk for task in won] == [first.pk, third.pk, other.pk]
    assert [task.lock_fencing_number > 0 for task in won] == [True, True, False]
    assert (holder("a"), holder("b")) == ((first.pk, 1), (third.pk, 1))
    assert state(second) == WAITING


def test_a_task_that_waits_is_what_it_was_but_for_its_token():
    run()
    task = create(lock="a")
    before = row(task)

    assert claim([task], after(1)) == []

    changes = {"status": TaskStatus.PENDING, "hold": Hold.LOCK, "queued_at": None}
    assert row(task) == before | changes | {
        "fencing_token": 1,
        "version": before["version"] + 2,
        "updated_at": after(1),
    }
    assert list(LockWaiter.objects.values_list("task_id", "name", "rank")) == [(task.pk, "a", task.rank)]


def test_waiting_is_counted_as_waiting_and_not_as_running():
    run()
    before = metrics.sums()

    wait()

    entered = {
        label: n - before.get((metric, label), 0)
        for (metric, label), n in metrics.sums().items()
        if metric == metrics.ENTERED
    }
    assert entered == {TaskStatus.QUEUED: 1, TaskStatus.PENDING: 1, TaskStatus.PROCESSING: 0}


def test_names_are_compared_byte_by_byte():
    tasks = [create(lock=name) for name in ("a", "A", "a ", "ä", "a" * 255)]

    assert len(claim(tasks)) == 5


def test_tasks_without_a_lock_ask_nothing_of_locks():
    tasks = lifecycle.create([new_task() for _ in range(3)], START)

    with CaptureQueriesContext(connection) as seen:
        won = claim(tasks)
        settle(*[completed(lease_of(task)) for task in won])
        lifecycle.release([lease_of(task) for task in claim([create()])], after(1))

    tables = (NamedLock._meta.db_table, LockWaiter._meta.db_table)
    assert len(won) == 3
    assert [query["sql"] for query in seen if any(table in query["sql"] for table in tables)] == []


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch):
    """A handler whose lock is known from now on."""
    monkeypatch.setattr(registry, "_handlers", {})

    def declare() -> None:
        @registry.task("job", lock="report:{account}")
        def job(account: str) -> None: ...

    return declare


def test_a_task_that_was_created_before_its_lock_was_known_gets_it_when_it_is_claimed(template):
    first, second = create(payload={"account": "ann"}), create(payload={"account": "ann"})
    unnameable = create(payload={"account": None})
    template()

    won = claim([first, second, unnameable])

    assert [(task.pk, task.lock) for task in won] == [(first.pk, "report:ann"), (unnameable.pk, None)]
    assert (reread(first).lock, reread(second).lock) == ("report:ann", "report:ann")
    assert state(second) == WAITING


# --- every end of an attempt ---------------------------------------------------------------------------------------


def cancel_and_acknowledge(task: Task) -> None:
    lifecycle.cancel(task.pk, after(1))
    lifecycle.release([lease_of(reread(task))], after(2))


def retry_and_acknowledge(task: Task) -> None:
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(1))
    lifecycle.release([lease_of(reread(task))], after(2))


def forfeit_cancelled(task: Task) -> None:
    lifecycle.cancel(task.pk, after(1))
    lifecycle.forfeit([lease_of(reread(task))], POLICY, no_jitter, after(2))


ENDS: dict[str, Callable[[Task], object]] = {
    "completed": lambda task: settle(completed(lease_of(task)), now=after(1)),
    "completed, and said to have locks": lambda task: settle(
        replace(completed(lease_of(task)), locked=True), now=after(1)
    ),
    "failed": lambda task: settle(failed(lease_of(task)), now=after(1)),
    "discarded": lambda task: settle(discarded(lease_of(task)), now=after(1)),
    "released": lambda task: lifecycle.release([lease_of(task)], after(1)),
    "reaped": lambda task: reap(after(60)),
    "forfeited": lambda task: lifecycle.forfeit([lease_of(task)], POLICY, no_jitter, after(1)),
    "cancelled and acknowledged": cancel_and_acknowledge,
    "cancelled, retried and acknowledged": retry_and_acknowledge,
    "cancelled, and its process died": forfeit_cancelled,
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_an_attempt_frees_its_lock_and_wakes_the_first_that_waits(end):
    task, (other,) = run(), claim([create(lock="b")], lease=timedelta(hours=1))
    waiting = [wait() for _ in range(3)]

    ENDS[end](task)

    assert [state(each) for each in waiting] == [READY, WAITING, WAITING]
    assert reread(task).lock_fencing_number == 0
    assert (holder("a")[0], holder("b")) == (None, (other.pk, 1))
    assert list(LockWaiter.objects.order_by("rank", "task_id").values_list("task_id", flat=True)) == [
        each.pk for each in waiting[1:]
    ]


def test_one_that_is_woken_keeps_its_place_and_is_claimed():
    task = run()
    first = wait()

    settle(completed(lease_of(task)), now=after(5))

    woken = reread(first)
    assert (woken.rank, woken.ready_ms, woken.queued_at, woken.attempts) == (first.rank, first.ready_ms, after(5), 0)
    (won,) = claim([woken], after(6))
    assert (won.pk, won.attempts, holder()) == (first.pk, 1, (first.pk, 2))


def test_who_goes_first_is_next_whenever_it_came():
    task = run()
    low, high = wait(priority=1), wait(priority=20)

    settle(completed(lease_of(task)), now=after(1))

    assert (state(low), state(high)) == (WAITING, READY)


def test_a_batch_of_ends_wakes_one_for_each_lock():
    tasks = claim([create(lock=name) for name in "abc"])
    waiting = {name: [wait(lock=name) for _ in range(2)] for name in "abc"}

    settle(*[completed(lease_of(task)) for task in tasks], now=after(1))

    assert {name: [state(each) for each in line] for name, line in waiting.items()} == {
        name: [READY, WAITING] for name in "abc"
    }


def test_numbers_only_grow_over_holders_and_over_being_forgotten():
    numbers = []
    now = START
    for seconds in (0, 0, 60, 2 * 86400):
        now = after(seconds)
        locks.forget_free(now)
        task = run(now)
        numbers.append(task.lock_fencing_number)
        settle(completed(lease_of(task)), now=now)

    assert numbers == sorted(set(numbers))
    assert locks.forget_free(now) == 0
    assert locks.forget_free(after(5 * 86400)) == 1
    assert NamedLock.objects.count() == 0


# --- cancelled and lost holders ------------------------------------------------------------------------------------


def test_a_cancelled_attempt_holds_its_lock_until_its_worker_has_heard_or_its_lease_ends():
    task, waiting = run(), wait()

    lifecycle.cancel(task.pk, after(1))

    assert lifecycle.hand_over(["a"], after(14)) == 0
    assert (state(waiting), claim([create(lock="a")], after(14))) == (WAITING, [])
    assert lifecycle.hand_over(["a"], after(15)) == 1
    assert state(waiting) == READY


def test_deleting_a_cancelled_task_frees_no_lock_of_an_attempt_that_may_still_run():
    task, waiting = run(), wait()
    lifecycle.cancel(task.pk, after(1))
    lifecycle.delete(task.pk, START)

    assert lifecycle.hand_over(["a"], after(14)) == 0
    assert state(waiting) == WAITING
    assert lifecycle.hand_over(["a"], after(15)) == 1


def test_a_lock_lasts_as_long_as_its_lease_is_renewed():
    task, waiting = run(), wait()
    for seconds in (10, 20, 30):
        lifecycle.renew([lease_of(task)], LEASE, after(seconds))

    assert reap(after(44)) == []
    assert (lifecycle.hand_over(["a"], after(44)), state(waiting), holder()[0]) == (0, WAITING, task.pk)


def test_a_lease_that_has_ended_keeps_its_lock_until_the_task_is_taken_back():
    task, waiting = run(), wait()

    assert (lifecycle.hand_over(["a"], after(60)), state(waiting)) == (0, WAITING)
    assert lifecycle.renew([lease_of(task)], LEASE, after(60))[lease_of(task)] == "RENEWED"
    assert (holder()[0], state(waiting)) == (task.pk, WAITING)


def test_a_late_holder_has_no_lock_any_more_and_harms_none():
    task, waiting = run(), wait()
    late = lease_of(task)
    reap(after(60))
    (won,) = claim([waiting], after(61))
    before = NamedLock.objects.values().get(name="a")

    assert lifecycle.take_lock(late, "a", after(62)) == LOST
    assert lifecycle.free_lock(late, "a", after(62)) is False
    assert settle(completed(late), now=after(62)) == ["ACCEPTED"]
    assert NamedLock.objects.values().get(name="a") == before
    assert (before["holder_id"], won.lock_fencing_number) == (won.pk, before["fencing_number"])
    assert won.lock_fencing_number > task.lock_fencing_number


def test_what_is_held_for_an_attempt_that_is_over_is_freed_though_that_would_be_a_defect():
    task, waiting = run(), wait()
    Task.objects.filter(pk=task.pk).update(fencing_token=9)

    assert lifecycle.hand_over(["a"], after(1)) == 1
    assert (state(waiting), holder()[0]) == (READY, None)


# --- changes while a task waits ------------------------------------------------------------------------------------


def test_one_that_is_cancelled_waits_no_more():
    run()
    waiting = wait()

    assert lifecycle.cancel(waiting.pk, after(1)).status == TaskStatus.CANCELLED
    assert LockWaiter.objects.count() == 0
    lifecycle.retry(waiting.pk, after(2))
    assert (state(waiting), claim([reread(waiting)], after(2)), state(waiting)) == (READY, [], WAITING)


@pytest.mark.parametrize(
    "take_away",
    [
        lambda task: lifecycle.cancel(task.pk, after(2)),
        lambda task: lifecycle.update(task.pk, {"scheduled_at": after(600)}, after(2)),
    ],
)
def test_when_the_one_that_was_woken_goes_away_the_next_is_woken(take_away):
    task = run()
    first, second = wait(), wait()
    settle(completed(lease_of(task)), now=after(1))
    assert (state(first), state(second)) == (READY, WAITING)

    take_away(first)

    assert state(second) == READY


def test_a_woken_task_that_takes_to_another_lock_leaves_its_chance_to_the_next():
    task = run()
    first, second = wait(), wait()
    settle(completed(lease_of(task)), now=after(1))
    assert (state(first), state(second)) == (READY, WAITING)

    lifecycle.update(first.pk, {"lock": "b"}, after(2))

    assert (state(first), state(second)) == (READY, READY)


def test_a_ready_task_that_goes_away_wakes_nobody_while_the_lock_is_held():
    run()
    waiting, ready = wait(), create(lock="a")

    lifecycle.cancel(ready.pk, after(1))

    assert state(waiting) == WAITING


def test_one_that_sits_ready_and_is_not_claimed_gives_others_their_chance():
    task = run()
    first, second, third = wait(), wait(), wait()
    settle(completed(lease_of(task)), now=after(1))

    assert lifecycle.hand_over(["a"], after(2)) == 1

    assert [state(each) for each in (first, second, third)] == [READY, READY, WAITING]
    assert [task.pk for task in claim([first, second], after(3))] == [first.pk]
    assert lifecycle.hand_over(["a"], after(4)) == 0


def test_a_new_priority_is_a_new_place_in_line():
    task = run()
    first, second = wait(), wait()

    lifecycle.update(second.pk, {"priority": 20}, after(1))

    assert state(second) == WAITING
    settle(completed(lease_of(task)), now=after(2))
    assert (state(first), state(second)) == (WAITING, READY)


def test_one_that_is_put_off_waits_for_its_moment_and_no_lock():
    run()
    waiting = wait()

    lifecycle.update(waiting.pk, {"scheduled_at": after(60)}, after(1))

    assert (state(waiting), LockWaiter.objects.count()) == ((TaskStatus.PENDING, Hold.DUE), 0)
    assert (lifecycle.promote(after(60)), state(waiting)) == (1, READY)


def test_one_that_needs_another_lock_now_is_ready_for_it():
    run()
    waiting = wait()

    lifecycle.update(waiting.pk, {"payload": {"account": "b"}, "lock": "b"}, after(1))

    assert (state(waiting), LockWaiter.objects.count()) == (READY, 0)
    assert [task.pk for task in claim([reread(waiting)], after(2))] == [waiting.pk]
    assert (holder("b")[0], reread(waiting).queued_at) == (waiting.pk, after(1))


def test_promotion_is_not_for_those_that_wait_for_a_lock():
    run()
    task = create(lock="a", scheduled_at=after(-5))
    claim([task])

    assert (lifecycle.promote(after(60)), lifecycle.next_due(), state(task)) == (0, None, WAITING)


# --- locks that a handler takes ------------------------------------------------------------------------------------


def running() -> Lease:
    (won,) = claim([create()])
    return lease_of(won)


def test_a_running_attempt_takes_a_lock_and_frees_it():
    lease, other = running(), running()

    taken = lifecycle.take_lock(lease, "prices", after(1))

    assert (taken.verdict, taken.fencing_number > 0) == (LockVerdict.TAKEN, True)
    assert lifecycle.take_lock(lease, "prices", after(2)) == taken
    assert lifecycle.take_lock(other, "prices", after(2)) == BUSY
    assert lifecycle.free_lock(other, "prices", after(3)) is False
    assert lifecycle.free_lock(lease, "prices", after(3)) is True
    again = lifecycle.take_lock(other, "prices", after(4))
    assert (again.verdict, again.fencing_number > taken.fencing_number) == (LockVerdict.TAKEN, True)


def test_only_a_running_attempt_takes_a_lock():
    lease, cancelled = running(), running()
    lifecycle.cancel(cancelled.task_id, after(1))

    for false in (replace(lease, fencing_token=7), replace(lease, claim_id=uuid4()), cancelled):
        assert lifecycle.take_lock(false, "prices", after(2)) == LOST
    assert NamedLock.objects.count() == 0


def test_locks_that_a_handler_left_are_freed_with_its_attempt():
    lease = running()
    for name in ("prices", "stock"):
        lifecycle.take_lock(lease, name, after(1))
    waiting = wait(lock="stock")

    assert settle(completed(lease), now=after(2)) == ["ACCEPTED"]

    assert (holder("prices")[0], holder("stock")[0], state(waiting)) == (None, None, READY)
    assert Task.objects.get(pk=lease.task_id).status == TaskStatus.COMPLETED


def test_a_lock_that_a_handler_has_keeps_tasks_from_running_that_name_it():
    lease = running()
    lifecycle.take_lock(lease, "a", after(1))
    waiting = wait()

    assert lifecycle.free_lock(lease, "a", after(2)) is True

    assert state(waiting) == READY


def test_of_a_batch_those_with_locks_are_settled_beside_those_without():
    with_lock, without = run(), running()
    late = replace(running(), fencing_token=9)

    verdicts = settle(completed(without, 1), replace(completed(lease_of(with_lock), 2), locked=True), completed(late))

    assert verdicts == ["ACCEPTED", "ACCEPTED", "STALE_LEASE"]
    assert (holder()[0], reread(with_lock).result) == (None, 2)


def test_locks_that_are_waited_for_are_told_page_by_page():
    assert locks.awaited("", 10) == locks.ended(START, 10) == []
    run()
    for name in ("a", "b"):
        lease = running()
        lifecycle.take_lock(lease, "b", START)
        wait(lock=name)

    assert (locks.awaited("", 10), locks.awaited("", 1), locks.awaited("a", 10)) == (["a", "b"], ["a"], ["b"])
