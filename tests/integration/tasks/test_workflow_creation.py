"""Tasks that are created to wait for others: what may depend on what, and where they stand at first."""

from __future__ import annotations

import re
import uuid

import pytest

from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from tasks import metrics, submission
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.submission import Request
from tasks.domain.workflow import MOST_PARENTS
from tasks.models import Dependency, Task
from tasks.submission import Owner
from tests.integration.tasks.depending import (
    CANCELLED,
    COMPLETED,
    NOT_COMPLETED,
    PENDING,
    QUEUED,
    depending_on,
    standing,
    workflow,
)
from tests.support.factories import ManualClock, after, create, in_state, make_team, reread, row


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


def test_a_task_that_depends_on_too_many_is_refused_by_the_name_of_the_field():
    parents = [str(uuid.uuid4()) for _ in range(MOST_PARENTS + 1)]

    with pytest.raises(BadInput) as refused:
        depending_on(depends_on=parents)

    assert refused.value.field == "dependsOn"
    assert Task.objects.count() == Dependency.objects.count() == 0


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
