"""Caps in the life of tasks: how many run at a time, who waits, and who is next, whatever ends an attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle, limit_line, limits, metrics, queues
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.states import Hold, TaskStatus
from tasks.handling import registry
from tasks.models import HandlerLimits, LimitState, LimitWaiter, Queue, Task
from tasks.tokens import microseconds
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

WAITING, READY, RUNNING = (
    (TaskStatus.PENDING, Hold.LIMIT),
    (TaskStatus.QUEUED, Hold.NONE),
    (TaskStatus.PROCESSING, Hold.NONE),
)
OF_QUEUE = Limit(Kind.CAP, Scope.QUEUE, "default")
OF_HANDLER = Limit(Kind.CAP, Scope.HANDLER, "job")


def cap_queue(cap: int | None, name: str = "default") -> None:
    queues.ensure([name], START)
    queues.configure(name, {"concurrency_limit": cap})
    limits.forget_known()


def cap_handler(cap: int | None, name: str = "job") -> None:
    limits.configure_handler(name, {"concurrency_limit": cap})


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declare the handler "job", which takes an account."""
    monkeypatch.setattr(registry, "_handlers", {})

    def declare(**limits: object) -> None:
        @registry.task("job", **limits)
        def job(account: str = "") -> None: ...

    return declare


def state(task: Task) -> tuple[str, str]:
    found = reread(task)
    return (found.status, found.hold)


def waiters() -> list[tuple[object, str, str]]:
    return list(LimitWaiter.objects.order_by("rank", "task_id").values_list("task_id", "limit", "queue"))


# --- giving places away --------------------------------------------------------------------------------------------


def test_of_a_queues_tasks_no_more_run_than_its_cap_allows():
    cap_queue(2)
    tasks = [create() for _ in range(4)]

    won = claim([tasks[3], tasks[1], tasks[0], tasks[2]], after(1))

    assert [task.pk for task in won] == [tasks[0].pk, tasks[1].pk]
    assert [state(task) for task in tasks] == [RUNNING, RUNNING, WAITING, WAITING]
    assert waiters() == [(tasks[2].pk, str(OF_QUEUE), "default"), (tasks[3].pk, str(OF_QUEUE), "default")]


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
    assert waiters() == [(capped.pk, str(OF_HANDLER), "art")]


def test_a_task_needs_a_place_under_every_cap():
    cap_queue(3)
    cap_handler(1)
    first, second, others = create(), create(), [create(name="other") for _ in range(3)]

    won = claim([first, second, *others])

    assert [task.pk for task in won] == [first.pk, others[0].pk, others[1].pk]
    assert {task_id: limit for task_id, limit, _ in waiters()} == {
        second.pk: str(OF_HANDLER),
        others[2].pk: str(OF_QUEUE),
    }


def test_for_each_key_a_cap_counts_apart(declare):
    declare(max_running=2, per="{account}")
    ann = [create(payload={"account": "ann"}, limit_key="ann") for _ in range(3)]
    bob = [create(payload={"account": "bob"}, limit_key="bob") for _ in range(2)]

    won = claim([*ann, *bob])

    assert {task.pk for task in won} == {task.pk for task in (*ann[:2], *bob)}
    assert waiters() == [(ann[2].pk, f"{OF_HANDLER}/ann", "default")]


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

    assert lifecycle.fill_places([OF_QUEUE], START + LEASE - timedelta(seconds=1)) == 0
    assert lifecycle.fill_places([OF_QUEUE], START + LEASE) == 1
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
    assert lifecycle.fill_places([OF_QUEUE], after(2)) == 0
    lifecycle.update(running.pk, {"queue": "other"}, START + LEASE)
    assert lifecycle.fill_places([OF_QUEUE], START + LEASE) == 1


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


# --- changes of limits ---------------------------------------------------------------------------------------------


def test_a_cap_that_is_raised_or_lifted_lets_more_run():
    cap_queue(1)
    claim([create()])
    waiting = [create() for _ in range(4)]
    claim(waiting)

    cap_queue(3)
    assert lifecycle.fill_places([OF_QUEUE], after(1)) == 2
    claim(waiting, after(1))
    cap_queue(None)
    assert lifecycle.fill_places([OF_QUEUE], after(2)) == 2
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
    lifecycle.fill_places([OF_HANDLER], after(1))
    assert len(claim(tasks, after(1))) == 2
    cap_handler(0)
    lifecycle.fill_places([OF_HANDLER], after(2))
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
    assert list(LimitState.objects.values_list("limit", flat=True)) == [str(OF_QUEUE)]
    assert Queue.objects.get(name="default").concurrency_limit == 1


def test_the_row_of_a_rate_is_not_forgotten_before_its_bucket_is_full():
    LimitState.objects.create(limit="rate/queue/art", full_at_us=microseconds(after(90_000)), made_at=START)

    assert limit_line.forget_old(after(90_000)) == 0
    assert limit_line.forget_old(after(90_001)) == 1
