"""Places under a cap at the end of an attempt, whatever ends it: when they are free, and who is next."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle
from tasks.domain.states import Hold, TaskStatus
from tasks.models import Task
from tests.integration.tasks.attempts import ENDS, state
from tests.integration.tasks.limiting import CAP_OF_QUEUE, READY, WAITING, cap_handler, cap_queue, waiters
from tests.support.factories import LEASE, START, after, claim, completed, create, lease_of, reread, row, settle


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["queue", "handler", "key"])
def test_the_end_of_an_attempt_gives_its_place_up_and_wakes_the_first_that_waits(end, kind, declare):
    fields = {}
    if kind == "key":
        declare(max_running=1, per="{account}")
        fields = {"limit_key": "ann"}
    else:
        (cap_queue if kind == "queue" else cap_handler)(1)
    (task,) = claim([create(**fields)])
    waiting = [create(after(1), **fields) for _ in range(3)]
    assert claim(waiting, after(1)) == []

    ENDS[end](task)

    assert [state(each) for each in waiting] == [READY, WAITING, WAITING]
    assert reread(task).capped is False
    assert [task_id for task_id, _, _ in waiters()] == [each.pk for each in waiting[1:]]


def test_several_that_end_at_once_wake_as_many():
    cap_queue(3)
    running = claim([create() for _ in range(3)])
    waiting = [create() for _ in range(4)]
    claim(waiting)

    settle(*[completed(lease_of(task)) for task in running[:2]], now=after(1))

    assert [state(each) for each in waiting] == [READY, READY, WAITING, WAITING]
    assert {task.pk for task in claim(waiting, after(2))} == {waiting[0].pk, waiting[1].pk}


def test_a_cancelled_attempt_keeps_its_place_until_its_lease_has_ended():
    cap_queue(1)
    (running,) = claim([create()])
    waiting = create()
    claim([waiting])
    lifecycle.cancel(running.pk, after(1))

    assert lifecycle.fill_places([CAP_OF_QUEUE], START + LEASE - timedelta(seconds=1)) == 0
    assert lifecycle.fill_places([CAP_OF_QUEUE], START + LEASE) == 1
    assert [task.pk for task in claim([waiting], START + LEASE)] == [waiting.pk]


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_line():
    cap_queue(1)
    (running,) = claim([create()])
    first, second = create(), create()
    claim([first, second])

    lifecycle.cancel(first.pk, after(1))

    assert [task_id for task_id, _, _ in waiters()] == [second.pk]
    settle(completed(lease_of(running)), now=after(2))
    assert (state(second), reread(first).status) == (READY, TaskStatus.CANCELLED)


def test_a_task_that_is_changed_while_it_waits_is_judged_anew():
    cap_queue(1)
    claim([create()])
    moved, urgent, put_off, renamed = (create() for _ in range(4))
    claim([moved, urgent, put_off, renamed])

    lifecycle.update(moved.pk, {"queue": "other"}, after(1))
    lifecycle.update(urgent.pk, {"priority": 20}, after(1))
    lifecycle.update(put_off.pk, {"scheduled_at": after(60)}, after(1))
    lifecycle.update(renamed.pk, {"title": "another"}, after(1))

    assert [state(task) for task in (moved, urgent, renamed)] == [READY, READY, WAITING]
    assert state(put_off) == (TaskStatus.PENDING, Hold.DUE)
    assert [task_id for task_id, _, _ in waiters()] == [renamed.pk]
    assert [task.pk for task in claim([reread(moved)], after(2))] == [moved.pk]


def test_a_retried_task_counts_where_its_cancelled_attempt_may_still_run():
    cap_queue(1)
    (running,) = claim([create()])
    waiting = create()
    claim([waiting])
    lifecycle.cancel(running.pk, after(1))
    lifecycle.retry(running.pk, after(1))
    before = row(running)

    with pytest.raises(Conflict):
        lifecycle.update(running.pk, {"queue": "other"}, after(2))

    assert row(running) == before
    assert lifecycle.fill_places([CAP_OF_QUEUE], after(2)) == 0
    lifecycle.update(running.pk, {"queue": "other"}, START + LEASE)
    assert lifecycle.fill_places([CAP_OF_QUEUE], START + LEASE) == 1


def test_a_cancelled_task_that_counts_for_a_cap_is_not_deleted():
    cap_queue(1)
    (running,) = claim([create()])
    lifecycle.cancel(running.pk, after(1))
    before = row(running)

    with pytest.raises(Conflict):
        lifecycle.delete(running.pk, after(14))

    assert row(running) == before
    lifecycle.delete(running.pk, START + LEASE)
    assert not Task.objects.filter(pk=running.pk).exists()
