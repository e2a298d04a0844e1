"""What a task in hand gives its worker: tasks of its own, what its parents have returned, and a look at itself."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts.identity import Identity
from tasks.models import Task
from tests.integration.graphql.making import data, make_task, refusal
from tests.integration.graphql.working import NAME, refused
from tests.support.worker_client import WorkerClient, completed, key

pytestmark = pytest.mark.django_db


def test_a_task_s_children_are_created_once_in_its_team(worker: WorkerClient, worker_account: Identity):
    make_task()
    (lease,) = worker.claim()
    inputs = [{"name": "child", "payload": {"n": n}, "idempotencyKey": f"k{n}"} for n in range(2)]

    made = worker.enqueue(lease, *inputs)
    worker.report(completed(lease))
    again = worker.enqueue(lease, *inputs)

    assert made == again
    children = Task.objects.filter(name="child")
    assert {(str(each.pk), each.team_id, each.user_id) for each in children} == {
        (id_, worker_account.team_id, None) for id_ in made
    }


def test_of_what_a_child_waits_for_a_worker_is_shown_only_what_it_holds(worker: WorkerClient, user: Identity):
    other = make_task(queue="vault", name="other", payload={"secret": 1})
    make_task()
    (lease,) = worker.claim()
    child = {"name": "child", "idempotencyKey": "k", "dependsOn": [lease["taskId"], str(other.pk)]}
    document = """mutation ($worker: ID!, $parent: LeaseInput!, $inputs: [CreateTaskInput!]!) {
        enqueueTasks(workerId: $worker, parent: $parent, inputs: $inputs) { id dependsOn { id payload } } }"""

    (made,) = worker.ask(document, worker=worker.id, parent=key(lease), inputs=[child])["enqueueTasks"]

    assert [each["id"] for each in made["dependsOn"]] == [lease["taskId"]]
    shown = data("query ($id: ID!) { task(id: $id) { dependsOn { id } } }", user, id=made["id"])["task"]["dependsOn"]
    assert [each["id"] for each in shown] == child["dependsOn"]


def test_a_child_needs_a_key_a_parent_and_no_recurrence(worker: WorkerClient):
    make_task("blue")
    make_task()
    (lease,) = worker.claim()
    count = Task.objects.count()
    child = {"name": "child", "idempotencyKey": "k"}

    assert refused(lambda: worker.enqueue(lease, {"name": "child"})) == ("BAD_USER_INPUT", "inputs[0].idempotencyKey")
    assert refused(lambda: worker.enqueue({**lease, "claimId": str(uuid4())}, child)) == ("NOT_FOUND", "parent")
    recurring = {**child, "cronExpression": "@daily"}
    assert refused(lambda: worker.enqueue(lease, recurring)) == ("BAD_USER_INPUT", "inputs[0].cronExpression")
    assert Task.objects.count() == count


def test_what_parents_have_returned_is_told_to_whoever_holds_their_child(worker: WorkerClient):
    parent = make_task()
    (lease,) = worker.claim()
    child = make_task(depends_on=[str(parent.pk)])
    worker.report(completed(lease, {"n": 7}))
    (held,) = worker.claim()
    query = "query ($w: ID!, $l: LeaseInput!) { parentResults(workerId: $w, lease: $l) }"

    told = worker.ask(query, w=worker.id, l=key(held))["parentResults"]

    assert (held["taskId"], told) == (str(child.pk), {str(parent.pk): {"n": 7}})
    for other in (lease, {**held, "claimId": str(uuid4())}, {**held, "fencingToken": 2}):
        asked = {"w": worker.id, "l": key(other)}
        assert refused(lambda asked=asked: worker.ask(query, **asked)) == ("NOT_FOUND", "lease")


def test_the_account_sees_the_tasks_that_its_workers_hold_and_only_while_they_hold_them(
    worker: WorkerClient, worker_account: Identity
):
    held, waiting = make_task(name=NAME), make_task(name=NAME)
    (lease,) = worker.claim(1)
    listed = "{ tasks { id } }"
    one = "query ($id: ID!) { task(id: $id) { status } }"

    assert data(listed, worker_account) == {"tasks": [{"id": str(held.pk)}]}
    assert data(one, worker_account, id=str(held.pk)) == {"task": {"status": "PROCESSING"}}
    assert refusal(one, worker_account, id=str(waiting.pk)) == ("NOT_FOUND", None)

    worker.report(completed(lease))
    assert data(listed, worker_account) == {"tasks": []}
