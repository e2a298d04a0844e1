"""Caps in the life of tasks: how many run at a time, and who waits."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import lifecycle, limits, metrics
from tasks.domain.states import Hold, TaskStatus
from tasks.models import HandlerLimits, LimitState, LimitWaiter
from tests.integration.tasks.attempts import state
from tests.integration.tasks.limiting import (
    CAP_OF_HANDLER,
    CAP_OF_QUEUE,
    READY,
    RUNNING,
    WAITING,
    cap_handler,
    cap_queue,
    waiters,
)
from tests.support.factories import START, after, claim, completed, create, lease_of, new_task, reread, row, settle


def test_of_a_queues_tasks_no_more_run_than_its_cap_allows():
    cap_queue(2)
    tasks = [create() for _ in range(4)]

    won = claim([tasks[3], tasks[1], tasks[0], tasks[2]], after(1))

    assert [task.pk for task in won] == [tasks[0].pk, tasks[1].pk]
    assert [state(task) for task in tasks] == [RUNNING, RUNNING, WAITING, WAITING]
    assert waiters() == [(tasks[2].pk, str(CAP_OF_QUEUE), "default"), (tasks[3].pk, str(CAP_OF_QUEUE), "default")]


def test_a_task_that_waits_is_what_it_was_but_for_its_token():
    cap_queue(1)
    claim([create()])
    task = create()
    before = row(task)

    assert claim([task], after(1)) == []

    changes = {"status": TaskStatus.PENDING, "hold": Hold.LIMIT, "queued_at": None}
    assert row(task) == before | changes | {
        "fencing_token": 1,
        "version": before["version"] + 2,
        "updated_at": after(1),
    }


def test_waiting_is_counted_as_waiting_and_not_as_running():
    cap_queue(1)
    claim([create()])
    before = metrics.sums()

    claim([create()])

    entered = {
        label: n - before.get((metric, label), 0)
        for (metric, label), n in metrics.sums().items()
        if metric == metrics.ENTERED
    }
    assert entered == {TaskStatus.QUEUED: 1, TaskStatus.PENDING: 1, TaskStatus.PROCESSING: 0}


def test_what_ran_before_the_cap_was_set_counts_too():
    claim([create(), create()])
    cap_queue(2)
    task = create()

    assert claim([task], after(1)) == []
    assert state(task) == WAITING


def test_the_cap_of_a_queue_concerns_no_other_queue():
    cap_queue(1)
    claim([create()])

    assert len(claim([create(queue="other"), create(queue="other")])) == 2


def test_the_cap_of_a_handler_counts_its_tasks_in_all_queues_and_those_of_no_other():
    cap_handler(2)
    claim([create()])
    claim([create(queue="mail")])
    capped, other = create(queue="art"), create(queue="art", name="other")

    assert [task.pk for task in claim([capped, other])] == [other.pk]
    assert waiters() == [(capped.pk, str(CAP_OF_HANDLER), "art")]


def test_a_task_needs_a_place_under_every_cap():
    cap_queue(3)
    cap_handler(1)
    first, second, others = create(), create(), [create(name="other") for _ in range(3)]

    won = claim([first, second, *others])

    assert [task.pk for task in won] == [first.pk, others[0].pk, others[1].pk]
    assert {task_id: limit for task_id, limit, _ in waiters()} == {
        second.pk: str(CAP_OF_HANDLER),
        others[2].pk: str(CAP_OF_QUEUE),
    }


def test_for_each_key_a_cap_counts_apart(declare):
    declare(max_running=2, per="{account}")
    ann = [create(payload={"account": "ann"}, limit_key="ann") for _ in range(3)]
    bob = [create(payload={"account": "bob"}, limit_key="bob") for _ in range(2)]

    won = claim([*ann, *bob])

    assert {task.pk for task in won} == {task.pk for task in (*ann[:2], *bob)}
    assert waiters() == [(ann[2].pk, f"{CAP_OF_HANDLER}/ann", "default")]


def test_keys_are_compared_byte_by_byte(declare):
    declare(max_running=1, per="{account}")
    keys = ("a", "A", "a ", "ä", "a/b", "a" * 255)

    assert len(claim([create(limit_key=key) for key in keys])) == 6


def test_a_task_that_was_created_before_its_key_was_known_gets_it_when_it_is_claimed(declare):
    first, second = create(payload={"account": "ann"}), create(payload={"account": "ann"})
    unnameable = create(payload={"account": None})
    declare(max_running=1, per="{account}")

    won = claim([first, second, unnameable])

    assert [task.pk for task in won] == [first.pk, unnameable.pk]
    assert [reread(task).limit_key for task in (first, second, unnameable)] == ["ann", "ann", None]


def test_a_lock_is_not_taken_by_a_task_that_may_not_run():
    cap_handler(1)
    claim([create()])
    capped, other = create(lock="a"), create(name="other", lock="a")

    won = claim([capped, other])

    assert [task.pk for task in won] == [other.pk]
    assert state(capped) == WAITING


def test_who_comes_later_gets_no_place_for_which_tasks_wait_before_it():
    cap_queue(1)
    (running,) = claim([create()])
    first, second = create(), create()
    claim([first, second])
    settle(completed(lease_of(running)), now=after(1))
    later = create(after(2))

    won = claim([later, reread(first)], after(2))

    assert [task.pk for task in won] == [first.pk]
    settle(completed(lease_of(won[0])), now=after(3))
    latest = create(after(4))
    assert claim([latest], after(4)) == []
    assert (state(second), state(later)) == (READY, WAITING)


def test_who_is_more_important_goes_before_those_who_wait():
    cap_queue(1)
    (running,) = claim([create()])
    waiting = [create(), create()]
    claim(waiting)
    settle(completed(lease_of(running)), now=after(1))
    urgent = create(after(2), priority=20)

    assert [task.pk for task in claim([urgent], after(2))] == [urgent.pk]


def test_tasks_without_limits_ask_nothing_of_limits():
    lifecycle.create([new_task()], START)
    limits.refresh()
    tasks = lifecycle.create([new_task() for _ in range(3)], START)

    with CaptureQueriesContext(connection) as seen:
        won = claim(tasks)
        settle(*[completed(lease_of(task)) for task in won])
        lifecycle.release([lease_of(task) for task in claim([create()])], after(1))

    tables = (LimitState._meta.db_table, LimitWaiter._meta.db_table, HandlerLimits._meta.db_table, "concurrency_limit")
    assert len(won) == 3
    assert [query["sql"] for query in seen if any(table in query["sql"] for table in tables)] == []
