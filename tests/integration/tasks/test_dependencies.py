"""Tasks that wait for others: when they go on, and what the waiting costs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import lifecycle, metrics
from tasks.domain.states import Hold, TaskStatus
from tasks.models import Dependency, Task, TaskLog
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.integration.tasks.depending import (
    CANCELLED,
    COMPLETED,
    PENDING,
    QUEUED,
    depending_on,
    end,
    standing,
    workflow,
)
from tests.support.factories import (
    START,
    after,
    claim,
    claimed,
    completed,
    create,
    discarded,
    failed,
    lease_of,
    new_task,
    reap,
    reread,
    settle,
)

# --- waiting -------------------------------------------------------------------------------------------------------


def test_a_task_waits_until_all_that_it_depends_on_have_completed():
    first, second = create(), create()
    child = depending_on(first, second)
    waited = standing(child)

    end(first, now=after(1))
    waited += standing(child)
    end(second, now=after(2))

    assert waited == [(PENDING, Hold.DEPENDENCY)] * 2
    ready = reread(child)
    assert (ready.status, ready.hold, ready.queued_at, ready.attempts) == (QUEUED, Hold.NONE, after(2), 0)
    assert ready.ready_ms == after(2).timestamp() * 1000


def test_a_child_that_becomes_ready_is_made_known_and_counted(redis_server):
    Reconciliation(redis_index(), "default").ensure_whole()
    parent = create()
    child = depending_on(parent)
    before = metrics.sums()[metrics.ENTERED, QUEUED]

    end(parent)

    assert [hint.id for hint in redis_index().take("default", {"job"}, 5)][-1:] == [child.pk]
    assert metrics.sums()[metrics.ENTERED, QUEUED] - before == 1


def test_a_child_that_is_due_later_waits_on_for_that():
    parent = create()
    child = depending_on(parent, scheduled_at=after(60))

    end(parent, now=after(1))
    early = standing(child)
    lifecycle.promote(after(61))

    assert early == [(PENDING, Hold.DUE)]
    assert standing(child) == [(QUEUED, Hold.NONE)]


def test_the_promoter_passes_over_a_child_that_waits():
    child = depending_on(create(), scheduled_at=after(1))

    assert lifecycle.promote(after(60)) == 0
    assert standing(child) == [(PENDING, Hold.DEPENDENCY)]


@pytest.mark.parametrize("scheduled_at", [None, after(-5), after(90)])
def test_a_change_of_a_child_that_waits_leaves_it_waiting(scheduled_at):
    parent = create()
    child = depending_on(parent)

    lifecycle.update(child.pk, {"scheduled_at": scheduled_at, "priority": 9}, after(1))

    assert standing(child) == [(PENDING, Hold.DEPENDENCY)]
    end(parent, now=after(2))
    assert standing(child) == [(PENDING, Hold.DUE) if scheduled_at == after(90) else (QUEUED, Hold.NONE)]
    assert reread(child).priority == 9


def test_a_parent_that_was_reaped_and_completes_late_counts():
    parent = claimed()
    child = depending_on(parent)
    reap(after(60))

    assert settle(completed(lease_of(parent)), now=after(61)) == ["ACCEPTED"]
    assert standing(child) == [(QUEUED, Hold.NONE)]


def test_a_failure_that_is_tried_again_is_no_end():
    parent = create()
    child = depending_on(parent)

    end(parent, failed)

    assert standing(parent, child) == [(PENDING, Hold.BACKOFF), (PENDING, Hold.DEPENDENCY)]


# --- the duty's part -----------------------------------------------------------------------------------------------


def test_what_was_overlooked_is_found_by_a_recount():
    good, bad, running = create(), create(), create()
    children = [depending_on(good), depending_on(bad), depending_on(running), depending_on(good, running)]
    Task.objects.filter(pk=good.pk).update(status=COMPLETED)
    Task.objects.filter(pk=bad.pk).update(status=TaskStatus.FAILED)

    moved = lifecycle.recount([child.pk for child in children], after(1))

    assert moved == 2
    assert [reread(child).status for child in children] == [QUEUED, CANCELLED, PENDING, PENDING]


# --- what it costs -------------------------------------------------------------------------------------------------


def statements_of(call: Any) -> Counter[str]:
    with CaptureQueriesContext(connection) as queries:
        call()
    sent = "; ".join(query["sql"] for query in queries.captured_queries).replace("NOT ATOMIC", ";")
    words = (statement.split()[0] for statement in sent.split("; "))
    return Counter(word for word in words if word in ("SELECT", "INSERT", "UPDATE", "DELETE"))


def test_completing_tasks_that_nobody_depends_on_costs_one_update_and_the_sums():
    for _ in range(3):
        depending_on(create())
    won = claim([create() for _ in range(20)])

    asked = statements_of(lambda: settle(*(completed(lease_of(task)) for task in won)))

    assert asked == {"UPDATE": 1, "INSERT": 1}


def test_what_ends_looks_at_no_dependency_unless_it_bears_the_mark():
    won = claim([create() for _ in range(3)])
    waiting = [create() for _ in range(3)]

    def ends() -> None:
        settle(*(discarded(lease_of(task)) for task in won))
        lifecycle.cancel(waiting[0].pk, START)

    with CaptureQueriesContext(connection) as queries:
        ends()

    table = Dependency._meta.db_table
    assert [query["sql"] for query in queries.captured_queries if table in query["sql"]] == []
    assert not TaskLog.objects.exists()


def test_cancelling_a_long_chain_takes_as_many_statements_as_a_short_one():
    def cancelling(length: int) -> Counter[str]:
        chain = {f"k{number}": f"k{number - 1}" if number else "" for number in range(length)}
        tasks = list(workflow(**chain).values())
        asked = statements_of(lambda: lifecycle.cancel(tasks[0].pk, START))
        assert {reread(task).status for task in tasks} == {CANCELLED}
        return asked

    assert cancelling(40) == cancelling(3)


def test_creating_tasks_that_depend_on_nothing_looks_at_no_dependency():
    create()
    new = [new_task() for _ in range(20)]

    asked = statements_of(lambda: lifecycle.create(new, START))

    assert asked == {"INSERT": 2}
