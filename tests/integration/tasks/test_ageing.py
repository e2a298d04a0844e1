"""Age makes up for priority in a queue that says so: a low task is overtaken for a while, and then by nobody."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from dtq_site.foundation.clock import milliseconds
from tasks import lifecycle, queues
from tasks.domain.priority import STRICT_WEIGHT, rank
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.support.factories import (
    LEASE,
    START,
    WORKER,
    ManualClock,
    after,
    claimed,
    create,
    failed,
    lease_of,
    reap,
    reread,
    settle,
    waiting,
)
from workers import gateway
from workers.gateway import Caller

AGEING_SECONDS = 10
LEVEL_MS = 10_000


def age() -> None:
    queues.configure("default", {"ageing_seconds": AGEING_SECONDS})
    queues.forget_known()


def order_of_claims(from_database: bool) -> list[uuid.UUID]:
    caller, clock = Caller(WORKER, frozenset({"job"})), ManualClock(after(10_000))
    order = []
    while leased := gateway.claim(caller, uuid.uuid4(), 1, LEASE, from_database=from_database, clock=clock):
        order += [each.lease.task_id for each in leased]
    return order


@pytest.mark.parametrize("from_database", [False, True])
def test_a_task_is_overtaken_only_by_those_that_became_ready_within_its_bound(from_database):
    age()
    Reconciliation(redis_index(), "default").ensure_whole()
    low = create(priority=1)
    urgent = {seconds: create(after(seconds), priority=20) for seconds in (0, 1, 189, 189.999, 190, 191, 300)}

    order = order_of_claims(from_database)

    bound = 19 * AGEING_SECONDS
    ahead = [urgent[seconds].pk for seconds in urgent if seconds < bound]
    behind = [urgent[seconds].pk for seconds in urgent if seconds >= bound]
    assert order == [*ahead, low.pk, *behind]


def test_nobody_overtakes_the_lowest_of_all_after_two_hundred_times_the_ageing():
    age()
    Reconciliation(redis_index(), "default").ensure_whole()
    lowest = create(priority=-100)
    last_to_pass = create(after(200 * AGEING_SECONDS - 0.001), priority=100)
    first_to_wait = create(after(200 * AGEING_SECONDS), priority=100)

    assert order_of_claims(False) == [last_to_pass.pk, lowest.pk, first_to_wait.pk]


def released(task: Task) -> None:
    lifecycle.release([lease_of(task)], after(5))


def lost(task: Task) -> None:
    reap(after(60))


def cancelled_and_retried(task: Task) -> None:
    released(task)
    lifecycle.cancel(task.pk, after(6))
    lifecycle.retry(task.pk, after(7))


def failed_and_promoted(task: Task) -> None:
    settle(failed(lease_of(task)), now=after(5))
    lifecycle.promote(after(60))


@pytest.mark.parametrize(
    ("comes_back", "ready_at"),
    [(released, START), (lost, after(60)), (cancelled_and_retried, after(7)), (failed_and_promoted, after(6))],
)
def test_whatever_puts_a_task_into_the_line_again_ranks_it_by_the_ageing_of_today(
    comes_back: Callable[[Task], None], ready_at
):
    task = claimed(begun=comes_back is not released)
    age()

    comes_back(task)

    kept = reread(task)
    assert (kept.status, kept.ready_ms) == ("QUEUED", milliseconds(ready_at))
    assert kept.rank == rank(5, milliseconds(ready_at), LEVEL_MS)


def test_a_task_that_waited_for_its_moment_and_one_that_changes_are_ranked_by_it_too():
    due, ready = waiting(), create()
    age()

    lifecycle.promote(after(60))
    lifecycle.update(ready.pk, {"priority": 7}, after(60))

    assert reread(due).rank == rank(5, milliseconds(after(60)), LEVEL_MS)
    assert reread(ready).rank == rank(7, milliseconds(START), LEVEL_MS)


def test_moving_to_another_queue_takes_on_its_order():
    age()
    task = create(queue="mail")

    lifecycle.update(task.pk, {"queue": "default"}, after(1))

    assert reread(task).rank == rank(5, milliseconds(START), LEVEL_MS)


def test_a_reranking_moves_only_what_is_still_ready_in_that_queue():
    ready, running, elsewhere = create(), claimed(), create(queue="mail")
    tasks = [ready, running, elsewhere]

    assert lifecycle.rerank("default", [task.pk for task in tasks], LEVEL_MS) == 1

    assert reread(ready).rank == rank(5, milliseconds(START), LEVEL_MS)
    assert [reread(task).rank for task in (running, elsewhere)] == [running.rank, elsewhere.rank]


def test_what_a_process_remembers_of_a_queue_is_a_second_old_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(queues, "elapsed_clock", lambda: now[0])
    queues.forget_known()
    assert queues.level_ms("default") == STRICT_WEIGHT

    queues.configure("default", {"ageing_seconds": AGEING_SECONDS})
    now[0] = queues.REMEMBERED_SECONDS
    assert queues.level_ms("default") == STRICT_WEIGHT
    now[0] += 0.001

    assert queues.level_ms("default") == LEVEL_MS
    assert queues.ensure({"default", "new"}, START) == {"default": LEVEL_MS, "new": STRICT_WEIGHT}
    queues.forget_known()
