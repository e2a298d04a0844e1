"""What a task in hand gives its worker: tasks of its own, what its parents have returned, and a look at itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.identity import Identity
from accounts.roles import Role
from tasks.models import Dependency, Task
from tests.integration.graphql.making import data, finish, make_identity, make_task, refusal
from tests.integration.graphql.working import NAME, expire, refused, send_as, with_token
from tests.support.worker_client import Refused, WorkerClient, completed, key
from workers.graphql import answers

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
        (id_, worker_account.team_id, worker_account.user_id) for id_ in made
    }


def test_of_what_a_child_waits_for_a_worker_is_shown_only_what_it_holds(worker: WorkerClient, user: Identity):
    make_task()
    (lease,) = worker.claim()
    (other,) = worker.enqueue(
        lease, {"queue": "vault", "name": "other", "payload": {"secret": 1}, "idempotencyKey": "o"}
    )
    child = {"name": "child", "idempotencyKey": "k", "dependsOn": [lease["taskId"], other]}
    document = """mutation ($worker: ID!, $parent: LeaseInput!, $inputs: [ChildTaskInput!]!) {
        enqueueTasks(workerId: $worker, parent: $parent, inputs: $inputs) { id dependsOn { id payload } } }"""

    (made,) = worker.ask(document, worker=worker.id, parent=key(lease), inputs=[child])["enqueueTasks"]

    assert [each["id"] for each in made["dependsOn"]] == [lease["taskId"]]
    shown = data("query ($id: ID!) { task(id: $id) { dependsOn { id } } }", user, id=made["id"])["task"]["dependsOn"]
    assert [each["id"] for each in shown] == child["dependsOn"]


def test_children_may_depend_on_each_other_by_keys_and_on_others_by_ids(worker: WorkerClient):
    make_task()
    (lease,) = worker.claim()
    (waited_for,) = worker.enqueue(lease, {"name": "other", "idempotencyKey": "k0"})
    inputs = [
        {"name": "first", "key": "one", "idempotencyKey": "k1", "dependsOn": [waited_for]},
        {
            "name": "last",
            "idempotencyKey": "k2",
            "dependsOn": ["one"],
            "onDependencyFailure": "RUN",
            "whenLost": "HOLD",
        },
    ]

    made = worker.enqueue(lease, *inputs)

    assert worker.enqueue(lease, *inputs) == made
    first, last = (Task.objects.get(pk=id_) for id_ in made)
    edges = Dependency.objects.order_by("pk").values_list("child_id", "parent_id", "key", "on_failure")
    assert list(edges) == [(first.pk, UUID(waited_for), None, "CANCEL"), (last.pk, first.pk, "one", "RUN")]
    assert (first.when_lost, last.when_lost) == ("REASSIGN", "HOLD")


def test_a_worker_lets_nothing_wait_for_tasks_that_are_none_of_its_business(worker: WorkerClient, user: Identity):
    make_task()
    (lease,) = worker.claim()
    others = [make_task(queue="vault"), finish(make_task(queue="vault"), result={"secret": 1}), make_task("blue")]
    count = Task.objects.count()

    for other in others:
        inputs = [
            {"name": "x", "idempotencyKey": "x", "key": "one"},
            {"name": NAME, "idempotencyKey": "y", "dependsOn": [lease["taskId"], "one", str(other.pk)]},
        ]
        assert refused(lambda inputs=inputs: worker.enqueue(lease, *inputs)) == ("NOT_FOUND", "inputs[1].dependsOn[2]")

    assert Task.objects.count() == count
    assert not Dependency.objects.exists()


@pytest.mark.parametrize("token", [1, 2])
def test_a_guessed_lease_of_a_task_does_not_let_anything_wait_for_it(worker: WorkerClient, token: int):
    done = finish(make_task(queue="vault"), result={"secret": 1})
    Task.objects.filter(pk=done.pk).update(fencing_token=2)
    guessed = {"taskId": str(done.pk), "fencingToken": token, "claimId": str(uuid4())}
    count = Task.objects.count()

    spy = {"name": NAME, "idempotencyKey": "k", "dependsOn": [str(done.pk)]}
    assert refused(lambda: worker.enqueue(guessed, spy)) == ("NOT_FOUND", "parent")

    assert Task.objects.count() == count
    assert not Dependency.objects.exists()


def test_a_key_that_a_person_has_used_tells_a_worker_nothing_of_that_task(worker: WorkerClient):
    theirs = finish(make_task(queue="vault", payload={"n": 1}, idempotency_key="k"), result={"secret": 1})
    make_task()
    (lease,) = worker.claim()
    same = {"name": NAME, "payload": {"n": 1}, "idempotencyKey": "k"}
    document = """mutation ($worker: ID!, $parent: LeaseInput!, $inputs: [ChildTaskInput!]!) {
        enqueueTasks(workerId: $worker, parent: $parent, inputs: $inputs) { %s } }"""

    def ask(selected: str, *inputs: dict[str, Any]) -> list[dict[str, Any]]:
        said = {"worker": worker.id, "parent": key(lease), "inputs": inputs}
        return worker.ask(document % selected, **said)["enqueueTasks"]

    assert ask("id name status payload", same) == [
        {"id": str(theirs.pk), "name": NAME, "status": "COMPLETED", "payload": {"n": 1}}
    ]
    for selected in ("result", "id logs { message }", "... on Task { user { username } }"):
        assert refused(lambda selected=selected: ask(selected, same)) == ("FORBIDDEN", None)
    assert ask("result", {**same, "idempotencyKey": "own"}) == [{"result": None}]
    with pytest.raises(Refused, match="CONFLICT") as refusal:
        worker.enqueue(lease, {**same, "payload": {"n": 2}})
    assert (refusal.value.field, str(theirs.pk) in str(refusal.value.extensions)) == ("inputs[0].idempotencyKey", False)


def test_what_one_worker_has_created_another_may_wait_for_in_its_place(worker: WorkerClient, worker_account: Identity):
    parent = make_task()
    (lease,) = worker.claim()
    (first,) = worker.enqueue(lease, {"name": "first", "idempotencyKey": f"{parent.pk}:first"})
    expire(lease)
    other = WorkerClient(send_as(make_identity(Role.WORKER)), NAME)
    (taken_over,) = other.claim()

    (again,) = other.enqueue(taken_over, {"name": "first", "idempotencyKey": f"{parent.pk}:first"})
    (last,) = other.enqueue(taken_over, {"name": "last", "idempotencyKey": "l", "dependsOn": [again]})

    assert again == first
    assert list(Dependency.objects.values_list("child_id", "parent_id")) == [(UUID(last), UUID(first))]


def test_a_token_for_some_queues_lets_handlers_create_tasks_in_others(worker_account: Identity):
    worker = WorkerClient(send_as(with_token(worker_account, "default")), NAME)
    make_task()
    (lease,) = worker.claim()

    (made,) = worker.enqueue(lease, {"name": "notify", "queue": "mail", "idempotencyKey": "k"})

    assert Task.objects.get(pk=made).queue == "mail"


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


def test_a_claim_brings_along_what_parents_have_returned_as_far_as_that_is_small(
    worker: WorkerClient, monkeypatch: pytest.MonkeyPatch
):
    small, large = make_task(), make_task()
    first, second = worker.claim(2)
    children = [make_task(depends_on=[str(parent.pk)]) for parent in (small, large)]
    alone = make_task()
    worker.report(completed(first, "x"), completed(second, "x" * 50))
    monkeypatch.setattr(answers, "MOST_BYTES_OF_RESULTS", 40)
    document = """mutation ($w: ID!, $c: ID!) {
        claimTasks(workerId: $w, claimId: $c, limit: 5) { taskId parentResults } }"""

    claimed = worker.ask(document, w=worker.id, c=str(uuid4()))["claimTasks"]

    results = {each["taskId"]: each["parentResults"] for each in claimed}
    assert results == {str(children[0].pk): {str(small.pk): "x"}, str(children[1].pk): None, str(alone.pk): {}}


# --- locks ---------------------------------------------------------------------------------------------------------


def test_a_lock_is_an_attempt_s_until_it_is_freed_or_the_attempt_is_over(worker: WorkerClient):
    make_task(), make_task()
    one, other = worker.claim(2)

    first = worker.take_lock(one, "prices")
    assert first[0] == "TAKEN" and worker.take_lock(one, "prices") == first
    assert worker.take_lock(other, "prices") == ("BUSY", 0)
    assert worker.free_lock(other, "prices") is False
    assert worker.free_lock(one, "prices") is True
    verdict, number = worker.take_lock(other, "prices")
    assert (verdict, number > first[1]) == ("TAKEN", True)

    worker.report(completed(other))
    assert worker.take_lock(one, "prices")[0] == "TAKEN"
    assert worker.take_lock(other, "prices") == ("LOST", 0)
    assert refused(lambda: worker.take_lock(one, "")) == ("BAD_USER_INPUT", "lock")


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
