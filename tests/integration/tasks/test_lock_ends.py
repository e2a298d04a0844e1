"""Locks at the end of an attempt, whatever ends it: who is next, and what becomes of a holder that is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tasks import lifecycle, locks
from tasks.models import LockWaiter, NamedLock, Task
from tests.integration.tasks.attempts import ENDS, state
from tests.integration.tasks.locking import LOST, READY, WAITING, holder, run, wait
from tests.support.factories import LEASE, START, after, claim, completed, create, lease_of, reap, reread, settle

# --- every end of an attempt ---------------------------------------------------------------------------------------


ENDS_WITH_LOCKS: dict[str, Callable[[Task], object]] = {
    **ENDS,
    "completed, and said to have locks": lambda task: settle(
        replace(completed(lease_of(task)), locked=True), now=after(1)
    ),
}


@pytest.mark.parametrize("end", ENDS_WITH_LOCKS)
def test_the_end_of_an_attempt_frees_its_lock_and_wakes_the_first_that_waits(end):
    task, (other,) = run(), claim([create(lock="b")], lease=timedelta(hours=1))
    waiting = [wait() for _ in range(3)]

    ENDS_WITH_LOCKS[end](task)

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
