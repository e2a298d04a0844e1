"""Tasks that wait for others: what a parent's end does to its children, and theirs."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from tasks import lifecycle, metrics, submission
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.submission import Request
from tasks.models import Dependency, Task, TaskLog
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tasks.submission import Owner
from tests.support.factories import (
    START,
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
    reap,
    reread,
    row,
    settle,
)

PENDING, QUEUED, COMPLETED, CANCELLED = (
    TaskStatus.PENDING,
    TaskStatus.QUEUED,
    TaskStatus.COMPLETED,
    TaskStatus.CANCELLED,
)
NOT_COMPLETED = (TaskStatus.FAILED, TaskStatus.DEAD_LETTER, TaskStatus.CANCELLED)


def depending_on(*parents: Task, team: str = "team", now: Any = START, **request: Any) -> Task:
    """A task that waits for these."""
    wanted = Request(**{"name": "job", "depends_on": [str(parent.pk) for parent in parents], **request})
    return submission.submit_one(wanted, Owner(make_team(team).pk, None), ManualClock(now))


def workflow(**graph: str) -> dict[str, Task]:
    """Tasks by their keys; each key's text names those that it depends on."""
    requests = [Request(name="job", key=key, depends_on=needs.split()) for key, needs in graph.items()]
    tasks = submission.submit(requests, Owner(make_team().pk, None), ManualClock(), argument="tasks")
    return dict(zip(graph, tasks, strict=True))


def end(task: Task, outcome: Any = completed, now: Any = START) -> None:
    (won,) = claim([reread(task)], now)
    assert settle(outcome(lease_of(won)), now=now) == ["ACCEPTED"]


def standing(*tasks: Task) -> list[tuple[str, str]]:
    return [(task.status, task.hold) for task in map(reread, tasks)]


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


# --- creation ------------------------------------------------------------------------------------------------------


def test_a_task_whose_parents_have_completed_is_ready_at_once():
    parents = [in_state(COMPLETED), in_state(COMPLETED)]

    child = depending_on(*parents, now=after(5))

    assert (child.status, child.hold, child.queued_at) == (QUEUED, "", after(5))
    assert standing(child) == [(QUEUED, "")]


@pytest.mark.parametrize("ended", NOT_COMPLETED)
@pytest.mark.parametrize(("policy", "status"), [("CANCEL", CANCELLED), ("RUN", QUEUED), ("HOLD", PENDING)])
def test_a_task_whose_parent_has_ended_otherwise_meets_its_fate_at_once(ended, policy, status):
    parent = in_state(ended)

    child = depending_on(parent, on_dependency_failure=policy)

    assert child.status == reread(child).status == status


def test_a_workflow_below_a_parent_that_failed_is_answered_as_it_stands():
    bad = in_state(TaskStatus.FAILED)
    requests = [
        Request(name="job", key="top", depends_on=[str(bad.pk)]),
        Request(name="job", key="below", depends_on=["top"]),
        Request(name="job", key="free"),
    ]

    tasks = submission.submit(requests, Owner(make_team().pk, None), ManualClock())

    assert [task.status for task in tasks] == [CANCELLED, CANCELLED, QUEUED]
    assert [reread(task).status for task in tasks] == [CANCELLED, CANCELLED, QUEUED]
    entered = {label: count for (metric, label), count in metrics.sums().items() if metric == metrics.ENTERED}
    assert (entered[CANCELLED], entered[QUEUED]) == (2, 2)


def test_a_workflow_may_name_its_tasks_in_any_order():
    tasks = workflow(last="first middle", middle="first", first="")

    assert {key: task.status for key, task in tasks.items()} == {"last": PENDING, "middle": PENDING, "first": QUEUED}
    edges = Dependency.objects.order_by("pk").values_list("child_id", "parent_id", "key")
    ids = {key: task.pk for key, task in tasks.items()}
    assert list(edges) == [
        (ids["last"], ids["first"], "first"),
        (ids["last"], ids["middle"], "middle"),
        (ids["middle"], ids["first"], "first"),
    ]


@pytest.mark.parametrize(
    ("graph", "message", "field"),
    [
        ({"a": "b", "b": "a", "c": ""}, "for ever: (a -> b -> a|b -> a -> b)", r"tasks\[[01]\].dependsOn"),
        ({"a": "", "self": "self"}, "for ever: self -> self", r"tasks\[1\].dependsOn"),
        ({"a": "", "b": "a nobody"}, "'nobody' is neither", r"tasks\[1\].dependsOn\[1\]"),
        ({"a": "", "b b": ""}, "'b b' is no key", r"tasks\[1\].key"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_and_nothing_of_it_made(graph, message, field):
    with pytest.raises(BadInput, match=message) as refused:
        workflow(**graph)

    assert re.fullmatch(field, refused.value.field)
    assert Task.objects.count() == Dependency.objects.count() == 0


def test_a_key_stands_for_one_task():
    requests = [Request(name="job", key="a"), Request(name="job", key="a")]

    with pytest.raises(BadInput, match="Two tasks of the call have the key 'a'") as refused:
        submission.submit(requests, Owner(make_team().pk, None), ManualClock(), argument="tasks")

    assert (refused.value.field, Task.objects.count()) == ("tasks[1].key", 0)


def test_tasks_of_others_and_of_nobody_cannot_be_depended_on():
    theirs = create(team=make_team("others"))
    before = row(theirs)

    for task_id in (str(theirs.pk), str(uuid.uuid4()), "no id"):
        with pytest.raises(NotFound) as refused:
            depending_on(depends_on=[task_id])
        assert refused.value.field == "dependsOn[0]"

    assert row(theirs) == before
    assert Task.objects.count() == 1 and Dependency.objects.count() == 0


def test_the_coming_occurrence_of_a_schedule_cannot_be_depended_on():
    coming = create(hold=Hold.SCHEDULE, scheduled_at=after(60))

    with pytest.raises(Conflict, match="may withdraw it") as refused:
        depending_on(create(), coming)

    assert refused.value.field == "dependsOn[1]"
    assert Task.objects.count() == 2 and not Task.objects.filter(has_dependants=True).exists()


def test_a_repeated_request_is_answered_with_the_tasks_of_the_first():
    owner = Owner(make_team().pk, None)
    requests = [
        Request(name="job", key="a", idempotency_key="k1"),
        Request(name="job", key="b", depends_on=["a"], idempotency_key="k2"),
    ]
    first = submission.submit(requests, owner, ManualClock())
    longer = [*requests, Request(name="job", key="c", depends_on=["a", "b"])]

    second = submission.submit(requests, owner, ManualClock())
    third = submission.submit(longer, owner, ManualClock())

    assert [task.pk for task in second] == [task.pk for task in third[:2]] == [task.pk for task in first]
    assert set(Dependency.objects.filter(child_id=third[2].pk).values_list("parent_id", "key")) == {
        (first[0].pk, "a"),
        (first[1].pk, "b"),
    }
    assert Dependency.objects.count() == 3


# --- deletion ------------------------------------------------------------------------------------------------------


def test_a_task_whose_children_have_not_ended_is_not_deleted():
    parent = create()
    child = depending_on(parent)
    end(parent)
    before = row(parent)

    with pytest.raises(Conflict, match="depend on it have not ended"):
        lifecycle.delete(parent.pk, START)
    assert row(parent) == before

    end(child)
    lifecycle.delete(parent.pk, START)
    assert list(Task.objects.values_list("pk", flat=True)) == [child.pk]

    lifecycle.delete(child.pk, START)
    assert Dependency.objects.count() == 0


def test_retention_passes_over_what_others_still_need():
    needed, done = create(), create()
    child = depending_on(needed, done, on_dependency_failure="HOLD")
    end(needed)
    end(done, discarded)
    old = in_state(COMPLETED)

    removed = [
        lifecycle.remove_ended({COMPLETED, TaskStatus.FAILED}, after(60), limit, after(60)) for limit in (1, 100)
    ]

    assert removed == [(1, True), (0, False)]
    assert set(Task.objects.values_list("pk", flat=True)) == {needed.pk, done.pk, child.pk}
    assert not Task.objects.filter(pk=old.pk).exists()


def test_a_cancelled_child_whose_parent_is_gone_and_never_completed_is_not_run_again():
    parent = create()
    child = depending_on(parent)
    end(parent, discarded)
    lifecycle.delete(parent.pk, START)
    before = row(child)

    with pytest.raises(Conflict, match=f"^Task {parent.pk}, on which it depends, was deleted"):
        lifecycle.retry(child.pk, after(1))

    assert lifecycle.retry_all([child.pk], Q(), after(1)) == 0
    assert row(child) == before


def test_a_child_of_a_parent_that_is_gone_is_run_again_if_that_had_completed_or_did_not_matter():
    finished, broken = create(), create()
    of_finished, of_broken = depending_on(finished), depending_on(broken, on_dependency_failure="RUN")
    end(finished)
    lifecycle.cancel(of_broken.pk, after(1))
    end(broken, discarded)
    lifecycle.cancel(of_finished.pk, after(1))
    for parent in (finished, broken):
        lifecycle.delete(parent.pk, after(1))

    assert lifecycle.retry(of_finished.pk, after(2)).status == QUEUED
    assert lifecycle.retry_all([of_broken.pk], Q(), after(2)) == 1


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
