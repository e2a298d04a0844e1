"""Tasks whose parents do not complete: what becomes of them, and how a branch is run again."""

from __future__ import annotations

import pytest
from django.db.models import Q

from tasks import lifecycle, metrics
from tasks.domain.states import Hold, TaskStatus
from tasks.models import Dependency
from tests.integration.tasks.depending import (
    CANCELLED,
    COMPLETED,
    NOT_COMPLETED,
    PENDING,
    QUEUED,
    depending_on,
    end,
    standing,
    workflow,
)
from tests.support.factories import START, after, claimed, create, discarded, failed, reap, reread

# --- parents that end otherwise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("otherwise", NOT_COMPLETED)
@pytest.mark.parametrize(
    ("policy", "status", "satisfied"),
    [(None, CANCELLED, False), ("CANCEL", CANCELLED, False), ("RUN", QUEUED, True), ("HOLD", PENDING, False)],
)
def test_what_becomes_of_a_child_is_its_own_choice(otherwise, policy, status, satisfied):
    parent = create(max_retries=0)
    child = depending_on(parent, on_dependency_failure=policy)

    match otherwise:
        case TaskStatus.FAILED:
            end(parent, discarded)
        case TaskStatus.DEAD_LETTER:
            end(parent, failed)
        case TaskStatus.CANCELLED:
            lifecycle.cancel(parent.pk, START)

    assert reread(parent).status == otherwise
    assert reread(child).status == status
    assert Dependency.objects.get(child_id=child.pk).satisfied is satisfied
    if status == CANCELLED:
        ended = reread(child)
        assert (ended.error, ended.completed_at) == (
            f"Task {parent.pk}, on which it depends, ended as {otherwise}.",
            START,
        )


def test_a_parent_that_loses_its_worker_for_good_takes_its_child_along():
    parent = claimed(begun=True, max_retries=0)
    child = depending_on(parent)

    reap(after(60))

    assert [task.status for task in map(reread, [parent, child])] == [TaskStatus.DEAD_LETTER, CANCELLED]


def test_a_cancellation_goes_down_the_whole_graph_and_leaves_what_does_not_hang_on_it():
    tasks = workflow(a="", b="a", c="b", d="b c", other="", alone="other")

    lifecycle.cancel(tasks["a"].pk, after(1))

    stand = {key: reread(task).status for key, task in tasks.items()}
    assert stand == dict.fromkeys("abcd", CANCELLED) | {"other": QUEUED, "alone": PENDING}
    assert metrics.sums()[metrics.ENTERED, CANCELLED] == 4


def test_a_child_that_runs_anyway_waits_for_its_other_parents():
    bad, good = create(), create()
    child = depending_on(bad, good, on_dependency_failure="RUN")

    lifecycle.cancel(bad.pk, START)
    waited = standing(child)
    end(good)

    assert waited == [(PENDING, Hold.DEPENDENCY)]
    assert standing(child) == [(QUEUED, Hold.NONE)]


def test_a_held_child_goes_on_when_its_parent_is_retried_and_completes():
    parent = create()
    child = depending_on(parent, on_dependency_failure="HOLD")
    end(parent, discarded)

    lifecycle.retry(parent.pk, after(1))
    waited = standing(child)
    end(parent, now=after(2))

    assert waited == [(PENDING, Hold.DEPENDENCY)]
    assert standing(child) == [(QUEUED, Hold.NONE)]


def test_a_retried_parent_brings_no_cancelled_child_back():
    parent = create()
    child = depending_on(parent)
    end(parent, discarded)

    lifecycle.retry(parent.pk, after(1))
    end(parent, now=after(2))

    assert standing(parent, child) == [(COMPLETED, ""), (CANCELLED, "")]


# --- retries of children -------------------------------------------------------------------------------------------


def test_a_whole_branch_can_be_retried_in_any_order_and_runs_in_its_own():
    tasks = workflow(a="", b="a", c="b")
    end(tasks["a"], discarded)

    for key in "cba":
        lifecycle.retry(tasks[key].pk, after(1))
    stands = [standing(*tasks.values())]
    for key in "abc":
        end(tasks[key], now=after(2))
        stands.append(standing(*tasks.values()))

    waits, ready, done = (PENDING, Hold.DEPENDENCY), (QUEUED, ""), (COMPLETED, "")
    assert stands == [[ready, waits, waits], [done, ready, waits], [done, done, ready], [done, done, done]]


def test_a_retried_child_is_not_cancelled_a_second_time_by_a_duty():
    parent = create()
    child = depending_on(parent)
    end(parent, discarded)

    retried = lifecycle.retry(child.pk, after(1))

    assert (retried.status, retried.hold) == (PENDING, Hold.DEPENDENCY)
    assert lifecycle.recount([child.pk], after(2)) == 0
    assert standing(child) == [(PENDING, Hold.DEPENDENCY)]


def test_a_retried_child_runs_at_once_if_its_parents_have_completed_meanwhile():
    parent = create()
    child = depending_on(parent)
    lifecycle.cancel(child.pk, START)
    end(parent)

    retried = lifecycle.retry(child.pk, after(1))

    assert (retried.status, retried.version) == (QUEUED, reread(child).version)
    assert standing(child) == [(QUEUED, "")]


def test_many_tasks_at_once_are_cancelled_and_retried_with_their_children():
    tasks = workflow(a="", b="a", c="a b")
    ids = [task.pk for task in tasks.values()]

    cancelled = lifecycle.cancel_all(ids, Q(), START)
    retried = lifecycle.retry_all(ids, Q(), after(1))

    assert (cancelled, retried) == (3, 3)
    assert standing(*tasks.values()) == [(QUEUED, ""), (PENDING, Hold.DEPENDENCY), (PENDING, Hold.DEPENDENCY)]
