"""Caps that operators raise, lower and lift, and when what is known of them is forgotten."""

from __future__ import annotations

from tasks import lifecycle, limit_line
from tasks.models import LimitState, Queue
from tasks.tokens import microseconds
from tests.integration.tasks.limiting import CAP_OF_HANDLER, CAP_OF_QUEUE, cap_handler, cap_queue
from tests.support.factories import START, after, claim, completed, create, lease_of, settle


def test_a_cap_that_is_raised_or_lifted_lets_more_run():
    cap_queue(1)
    claim([create()])
    waiting = [create() for _ in range(4)]
    claim(waiting)

    cap_queue(3)
    assert lifecycle.fill_places([CAP_OF_QUEUE], after(1)) == 2
    claim(waiting, after(1))
    cap_queue(None)
    assert lifecycle.fill_places([CAP_OF_QUEUE], after(2)) == 2
    assert len(claim(waiting, after(2))) == 2


def test_a_cap_that_is_lowered_lets_nobody_run_until_enough_have_ended():
    cap_queue(3)
    running = claim([create() for _ in range(3)])
    cap_queue(1)
    waiting = create()
    claim([waiting])

    for number, task in enumerate(running[:2]):
        settle(completed(lease_of(task)), now=after(1 + number))
        assert claim([waiting], after(1 + number)) == []
    settle(completed(lease_of(running[2])), now=after(3))

    assert [task.pk for task in claim([waiting], after(3))] == [waiting.pk]


def test_an_operators_word_goes_before_the_declaration(declare):
    declare(max_running=1)
    tasks = [create() for _ in range(4)]

    assert len(claim(tasks)) == 1
    cap_handler(3)
    lifecycle.fill_places([CAP_OF_HANDLER], after(1))
    assert len(claim(tasks, after(1))) == 2
    cap_handler(0)
    lifecycle.fill_places([CAP_OF_HANDLER], after(2))
    assert len(claim(tasks, after(2))) == 1


def test_a_line_that_nobody_serves_holds_up_no_other_queue():
    cap_handler(1)
    (running,) = claim([create()])
    unserved, served = [create(queue="unserved") for _ in range(3)], create(after(1), queue="served")
    claim(unserved)
    claim([served])

    settle(completed(lease_of(running)), now=after(2))

    assert [task.pk for task in claim([served], after(2))] == [served.pk]


def test_rows_of_limits_are_forgotten_after_a_day_unless_somebody_waits():
    cap_queue(1)
    cap_handler(1, "other")
    claim([create()])
    claim([create()])
    claim([create(name="other", queue="art")])

    assert limit_line.forget_old(after(86_399)) == 0
    assert limit_line.forget_old(after(86_401)) == 1
    assert list(LimitState.objects.values_list("limit", flat=True)) == [str(CAP_OF_QUEUE)]
    assert Queue.objects.get(name="default").concurrency_limit == 1


def test_the_row_of_a_rate_is_not_forgotten_before_its_bucket_is_full():
    LimitState.objects.create(limit="rate/queue/art", full_at_us=microseconds(after(90_000)), made_at=START)

    assert limit_line.forget_old(after(90_000)) == 0
    assert limit_line.forget_old(after(90_001)) == 1
