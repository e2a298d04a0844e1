"""Every way into a state that is told of leaves one event in the transaction of the move, and nothing where nobody asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from accounts import registration
from tasks import bulk, lifecycle, submission
from tasks.bulk import BulkVerb
from tasks.domain.outcome import MAX_ERROR_LENGTH
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.filters import TaskFilter
from tasks.models import Task, TaskEvent
from tasks.submission import Owner
from tasks.webhooks import outbox
from tests.integration.webhooks.making import EVERYTHING, events, subscribe
from tests.support.factories import (
    POLICY,
    ManualClock,
    after,
    claim,
    claimed,
    completed,
    create,
    discarded,
    failed,
    in_state,
    lease_of,
    make_team,
    new_task,
    no_jitter,
    reap,
    reread,
    settle,
    waiting,
)

Act = Callable[[], Task | list[Task]]


def complete_at_once() -> Task:
    task = claimed()
    settle(completed(lease_of(task)), now=after(1))
    return task


def complete_many_at_once() -> list[Task]:
    tasks = claim([create() for _ in range(3)])
    settle(*(completed(lease_of(task), number) for number, task in enumerate(tasks)), now=after(1))
    return tasks


def complete_beside_a_failure() -> Task:
    good, retried = claim([create(), create(name="deliver-webhook")])
    settle(completed(lease_of(good)), failed(lease_of(retried)), now=after(1))
    return good


def complete_late() -> Task:
    task = claimed()
    reap(after(20))
    settle(completed(lease_of(task)), now=after(21))
    return task


def complete_with_a_lock() -> Task:
    task = claimed(lock="prices")
    settle(completed(lease_of(task)), now=after(1))
    return task


def complete_with_a_child() -> Task:
    parent = claimed()
    child(parent, "HOLD")
    settle(completed(lease_of(reread(parent))), now=after(1))
    return parent


def discard() -> Task:
    task = claimed()
    settle(discarded(lease_of(task)), now=after(1))
    return task


def use_up_attempts() -> Task:
    task = claimed(max_retries=0)
    settle(failed(lease_of(task)), now=after(1))
    return task


def lose_the_last_worker() -> Task:
    task = claimed(begun=True, max_retries=0)
    reap(after(20))
    return task


def lose_the_last_process() -> Task:
    task = claimed(begun=True, max_retries=0)
    lifecycle.forfeit([lease_of(task)], POLICY, no_jitter, after(1))
    return task


def fail_and_wait() -> Task:
    task = claimed()
    settle(failed(lease_of(task)), now=after(1))
    return task


def cancel_by_state(status: TaskStatus) -> Act:
    return lambda: lifecycle.cancel(in_state(status).pk, after(1))


def cancel_many() -> list[Task]:
    tasks = [create(), waiting(), claimed()]
    bulk.request(BulkVerb.CANCEL, TaskFilter(), after(2))
    return tasks


def child(parent: Task, on_failure: str = "CANCEL") -> Task:
    wanted = Request(name="child", depends_on=[str(parent.pk)], on_dependency_failure=on_failure)
    return submission.submit_one(wanted, Owner(make_team().pk, None), ManualClock())


def cancel_with_the_parent() -> list[Task]:
    parent = create()
    children = [child(parent), child(parent)]
    lifecycle.cancel(parent.pk, after(1))
    return [parent, *children]


def be_born_after_the_parent_died() -> Task:
    parent = in_state(TaskStatus.FAILED, name="deliver-webhook")
    return child(parent)


def be_recounted_after_the_parent_died() -> Task:
    parent = create(name="deliver-webhook")
    late = child(parent)
    Task.objects.filter(pk=parent.pk).update(status=TaskStatus.FAILED)  # as if its end had passed over the child
    lifecycle.recount([late.pk], after(1))
    return late


WAYS: dict[str, tuple[str, Act]] = {
    "completed at once": ("task.completed", complete_at_once),
    "several completed at once": ("task.completed", complete_many_at_once),
    "completed beside others": ("task.completed", complete_beside_a_failure),
    "completed late": ("task.completed", complete_late),
    "completed with a lock": ("task.completed", complete_with_a_lock),
    "completed with a child": ("task.completed", complete_with_a_child),
    "discarded": ("task.failed", discard),
    "attempts used up": ("task.dead_lettered", use_up_attempts),
    "worker lost": ("task.dead_lettered", lose_the_last_worker),
    "process lost": ("task.dead_lettered", lose_the_last_process),
    "failed, to be tried again": ("task.retried", fail_and_wait),
    **{f"cancelled while {status}": ("task.cancelled", cancel_by_state(status)) for status in TaskStatus
       if status in ("PENDING", "QUEUED", "PROCESSING")},
    "many cancelled": ("task.cancelled", cancel_many),
    "cancelled with its parent": ("task.cancelled", cancel_with_the_parent),
    "created after its parent died": ("task.cancelled", be_born_after_the_parent_died),
    "recounted after its parent died": ("task.cancelled", be_recounted_after_the_parent_died),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_each_way_leaves_one_event(way: str):
    subscribe()
    event, act = WAYS[way]

    moved = act()

    tasks = moved if isinstance(moved, list) else [moved]
    assert events() == sorted((event, str(task.pk)) for task in tasks)


def test_the_ways_lead_to_every_event():
    assert {event for event, _ in WAYS.values()} == set(EVERYTHING)


def test_an_event_says_how_the_task_stood():
    subscribe()
    task = claimed(queue="mail", name="send")
    settle(discarded(lease_of(task), "no such box"), now=after(3))
    other = claimed(queue="mail", name="send")
    settle(completed(lease_of(other)), now=after(4))

    columns = ("event", "team_id", "task_id", "name", "queue", "attempts", "error", "at")
    team = make_team().pk
    assert list(TaskEvent.objects.order_by("pk").values_list(*columns)) == [
        ("task.failed", team, task.pk, "send", "mail", 1, "no such box", after(3)),
        ("task.completed", team, other.pk, "send", "mail", 1, "", after(4)),
    ]


def test_what_is_rolled_back_is_not_told():
    subscribe()
    quick, slow = claimed(), claimed(lock="prices")

    for task in (quick, slow):
        with suppress(ZeroDivisionError), transaction.atomic():
            settle(completed(lease_of(task)), now=after(1))
            assert events() == [("task.completed", str(task.pk))]
            _ = 1 / 0

    assert events() == []
    assert [reread(task).status for task in (quick, slow)] == ["PROCESSING"] * 2


def test_only_the_team_and_the_events_that_are_wanted_are_told():
    ours, others = make_team("ours"), registration.add_team("others")
    subscribe(events=["task.completed"], team=ours)
    subscribe(events=["task.cancelled"], team=others)

    told = claimed(team=ours)
    settle(completed(lease_of(told)), completed(lease_of(claimed(team=others))), now=after(1))
    lifecycle.cancel(create(team=ours).pk, after(1))

    assert events() == [("task.completed", str(told.pk))]


def test_the_delivery_of_an_event_is_no_event():
    subscribe()
    quick, dies = (claimed(name="deliver-webhook", max_retries=0) for _ in range(2))

    settle(completed(lease_of(quick)), now=after(1))
    settle(failed(lease_of(dies)), now=after(1))

    assert events() == []


def test_a_webhook_that_is_switched_off_is_noted_nothing_for():
    subscribe(active=False)

    complete_at_once()

    assert events() == []


# --- what it costs --------------------------------------------------------------------------------------------------

MOVES: dict[str, Callable[[Task], Any]] = {
    "complete": lambda task: settle(completed(lease_of(task)), now=after(1)),
    "fail": lambda task: settle(failed(lease_of(task)), now=after(1)),
    "cancel": lambda task: lifecycle.cancel(task.pk, after(1)),
}


def statements_of(move: Callable[[Task], Any]) -> list[str]:
    task = claimed()
    outbox.wanted()
    with CaptureQueriesContext(connection) as queries:
        move(task)
    return [query["sql"] for query in queries]


@pytest.mark.parametrize("move", MOVES)
def test_while_nobody_subscribes_a_move_costs_nothing(move: str):
    registration.add_team("others")

    unasked = statements_of(MOVES[move])
    subscribe(team=make_team("others"))
    elsewhere = statements_of(MOVES[move])
    subscribe()
    asked = statements_of(MOVES[move])

    assert not [sql for sql in unasked if "webhook" in sql or "taskevent" in sql]
    assert len(asked) - len(unasked) in (0, 1)  # none where it goes in the same text as others
    assert len([sql for sql in asked if "taskevent" in sql]) == 1
    assert len(elsewhere) <= len(asked)


def test_who_subscribes_is_asked_for_every_two_seconds_at_most(monkeypatch: pytest.MonkeyPatch):
    moments = iter([10.0, 10.0, 11.9, 12.1, 12.1])
    monkeypatch.setattr(outbox, "elapsed_clock", lambda: next(moments))

    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            assert outbox.wanted() == frozenset()

    assert len(queries) == 2


def test_many_tasks_with_long_errors_are_cancelled_at_once():
    subscribe(events=["task.cancelled"])
    tasks = lifecycle.create([new_task() for _ in range(1000)], after(0))
    Task.objects.update(error="\N{WARNING SIGN}" * MAX_ERROR_LENGTH)

    assert lifecycle.cancel_all([task.pk for task in tasks], Q(), after(1)) == 1000

    assert len(events()) == 1000
