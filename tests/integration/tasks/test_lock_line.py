"""Tasks that wait for a lock and are changed, cancelled or passed over meanwhile: who is woken instead."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.domain.states import Hold, TaskStatus
from tasks.models import LockWaiter
from tests.integration.tasks.attempts import state
from tests.integration.tasks.locking import READY, WAITING, holder, run, wait
from tests.support.factories import after, claim, completed, create, lease_of, reread, settle


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
