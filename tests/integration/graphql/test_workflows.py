"""Tasks that depend on each other, over the API."""

from __future__ import annotations

from uuid import uuid4

import pytest

from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.domain.outcome import OutcomeKind
from tasks.models import Dependency, Task
from tests.integration.graphql.making import data, finish, make_task, refusal, row
from tests.support.api import ask

pytestmark = pytest.mark.django_db

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status error dependsOn { id status } } }"
CREATE_MANY = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id status } }"
WORKFLOW = """
    mutation ($tasks: [WorkflowTaskInput!]!) {
        createWorkflow(tasks: $tasks) { id name status scheduledAt dependsOn { id name dependsOn { id } } }
    }
"""


def create(user, **input):
    return data(CREATE, user, input={"name": "n", **input})["createTask"]


def nodes(**graph: str) -> list[dict]:
    return [{"key": key, "name": "n", "dependsOn": needs.split()} for key, needs in graph.items()]


def test_a_task_waits_for_those_that_it_names_and_shows_them(user):
    first, second = make_task(), make_task()

    made = create(user, dependsOn=[str(second.pk), str(first.pk)])

    assert (made["status"], made["error"]) == ("PENDING", None)
    assert made["dependsOn"] == [{"id": str(second.pk), "status": "QUEUED"}, {"id": str(first.pk), "status": "QUEUED"}]
    finish(first)
    assert Task.objects.get(pk=made["id"]).status == "PENDING"
    finish(second)
    assert Task.objects.get(pk=made["id"]).status == "QUEUED"


@pytest.mark.parametrize(
    ("policy", "status"), [(None, "CANCELLED"), ("CANCEL", "CANCELLED"), ("run", "QUEUED"), ("HOLD", "PENDING")]
)
def test_what_a_failure_means_is_chosen_by_the_one_that_waits(user, policy, status):
    parent = make_task()
    chosen = {} if policy is None else {"onDependencyFailure": policy}
    made = create(user, dependsOn=[str(parent.pk)], **chosen)

    finish(parent, OutcomeKind.DISCARDED, error="no use")

    assert Task.objects.get(pk=made["id"]).status == status


def test_a_task_below_one_that_has_failed_is_answered_as_it_stands(user):
    failed = finish(make_task(), OutcomeKind.DISCARDED, error="no use")

    made = create(user, dependsOn=[str(failed.pk)])

    assert (made["status"], made["error"]) == ("CANCELLED", f"Task {failed.pk}, on which it depends, ended as FAILED.")


def test_a_workflow_is_made_in_one_call_in_the_order_of_the_inputs(user):
    answer = data(WORKFLOW, user, tasks=[
        {"key": "report", "name": "report", "dependsOn": ["north", "south"], "priority": "HIGH"},
        {"key": "north", "name": "count", "payload": {"shop": "n"}, "dependsOn": ["start"]},
        {"key": "south", "name": "count", "payload": {"shop": "s"}, "dependsOn": ["start"]},
        {"key": "start", "title": "Lock the tills", "delaySeconds": 60},
    ])["createWorkflow"]  # fmt: skip

    report, north, south, start = answer
    assert [each["name"] for each in answer] == ["report", "count", "count", "lock-the-tills"]
    assert {each["status"] for each in answer} == {"PENDING"} and start["scheduledAt"] is not None
    above = {"id": start["id"]}
    assert report["dependsOn"] == [
        {"id": north["id"], "name": "count", "dependsOn": [above]},
        {"id": south["id"], "name": "count", "dependsOn": [above]},
    ]
    assert Task.objects.get(pk=report["id"]).priority == 10


def test_a_workflow_may_wait_for_a_task_that_is_there(user):
    there = make_task()

    (first, last) = data(WORKFLOW, user, tasks=nodes(a=str(there.pk), b=f"a {there.pk}"))["createWorkflow"]

    assert [each["id"] for each in first["dependsOn"]] == [str(there.pk)]
    assert [each["id"] for each in last["dependsOn"]] == [first["id"], str(there.pk)]


@pytest.mark.parametrize(
    ("tasks", "code", "field"),
    [
        (nodes(a="c", b="a", c="b"), "BAD_USER_INPUT", None),
        (nodes(a="", b="a x"), "BAD_USER_INPUT", "tasks[1].dependsOn[1]"),
        ([*nodes(a=""), *nodes(a="")], "BAD_USER_INPUT", "tasks[1].key"),
        (nodes(a="", b=f"a {uuid4()}"), "NOT_FOUND", "tasks[1].dependsOn[1]"),
        ([{"key": "a", "name": "n"}, {"key": "b", "name": "n", "priority": 1000}], "BAD_USER_INPUT", None),
        ([{"key": "a", "name": "n", "idempotencyKey": "k"}, {"key": "b", "name": "n", "idempotencyKey": "k"}],
         "BAD_USER_INPUT", "tasks[1].idempotencyKey"),
    ],
)  # fmt: skip
def test_a_workflow_that_cannot_be_is_refused_and_nothing_of_it_made(user, tasks, code, field):
    refused = refusal(WORKFLOW, user, tasks=tasks)

    assert refused[0] == code and field in (None, refused[1])
    assert Task.objects.count() == Dependency.objects.count() == 0


def test_a_workflow_has_as_many_tasks_as_a_call_may_make(user):
    create_workflow = "mutation ($tasks: [WorkflowTaskInput!]!) { createWorkflow(tasks: $tasks) { id } }"
    most = nodes(first="", **{f"k{n}": "first" for n in range(999)})

    refused = refusal(create_workflow, user, tasks=[*most, *nodes(last="")])
    made = data(create_workflow, user, tasks=most)["createWorkflow"]

    assert refused == ("BAD_USER_INPUT", "tasks")
    assert (len(made), Task.objects.count(), Dependency.objects.count()) == (1000, 1000, 999)


def test_a_cycle_is_named_to_the_client(user):
    (error,) = ask(WORKFLOW, identity=user, tasks=nodes(left="right", right="left"))["errors"]

    assert "left -> right -> left" in error["message"] or "right -> left -> right" in error["message"]
    assert error["extensions"]["field"] in ("tasks[0].dependsOn", "tasks[1].dependsOn")


def test_tasks_of_another_team_are_not_found(user, stranger):
    theirs = make_task("blue")
    before = row(theirs)

    refused = [
        refusal(CREATE, user, input={"name": "n", "dependsOn": [str(theirs.pk)]}),
        refusal(CREATE_MANY, user, inputs=[{"name": "n"}, {"name": "n", "dependsOn": [str(theirs.pk)]}]),
        refusal(WORKFLOW, user, tasks=nodes(a=str(theirs.pk))),
        refusal(CREATE, user, input={"name": "n", "dependsOn": ["no id"]}),
    ]

    assert refused == [
        ("NOT_FOUND", "input.dependsOn[0]"),
        ("NOT_FOUND", "inputs[1].dependsOn[0]"),
        ("NOT_FOUND", "tasks[0].dependsOn[0]"),
        ("NOT_FOUND", "input.dependsOn[0]"),
    ]
    assert row(theirs) == before and Task.objects.count() == 1
    assert create(stranger, dependsOn=[str(theirs.pk)])["status"] == "PENDING"


def test_a_recurring_task_depends_on_nothing(user):
    parent = make_task()
    input = {"name": "n", "cronExpression": "@daily", "dependsOn": [str(parent.pk)]}

    assert refusal(CREATE, user, input=input) == ("BAD_USER_INPUT", "input.dependsOn")
    assert Task.objects.count() == 1


def test_parents_of_a_list_are_read_at_once(user, django_assert_max_num_queries):
    parent = make_task()
    for _ in range(3):
        create(user, dependsOn=[str(parent.pk)])

    with django_assert_max_num_queries(6):
        answer = data("{ tasks { id dependsOn { id name } } }", user)["tasks"]

    assert [len(task["dependsOn"]) for task in answer] == [1, 1, 1, 0]


def test_a_parent_that_is_gone_is_shown_no_more(user):
    parent = make_task()
    made = create(user, dependsOn=[str(parent.pk)])
    lifecycle.cancel(parent.pk, database_clock.now())
    lifecycle.delete(parent.pk, database_clock.now())

    found = data("query ($id: ID!) { task(id: $id) { status dependsOn { id } } }", user, id=made["id"])["task"]

    assert found == {"status": "CANCELLED", "dependsOn": []}
