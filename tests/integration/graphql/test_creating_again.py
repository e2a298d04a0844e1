"""Tasks that recur, several in one call, and what a key is good for."""

from __future__ import annotations

import pytest

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks.models import Task
from tests.integration.graphql.creating import CREATE, CREATE_MANY, create
from tests.integration.graphql.making import data, refusal
from tests.support.api import ask

pytestmark = pytest.mark.django_db


# --- recurring -----------------------------------------------------------------------------------------------------


def test_a_cron_expression_alone_makes_a_schedule(user: Identity):
    query = """mutation ($input: CreateTaskInput!) { createTask(input: $input) {
        status isRecurring cronExpression scheduledAt user { username }
        schedule { id timezone nextRunAt user { username } team { name } } } }"""

    answer = data(query, user, input={"name": "n", "cronExpression": "30 9 * * 1", "timezone": "Europe/Berlin"})

    schedule = Schedule.objects.get()
    due = DateTime.serialize(schedule.next_due)
    assert answer["createTask"] == {
        "status": "PENDING",
        "isRecurring": True,
        "cronExpression": "30 9 * * 1",
        "scheduledAt": due,
        "user": {"username": user.username},
        "schedule": {
            "id": str(schedule.pk),
            "timezone": "Europe/Berlin",
            "nextRunAt": due,
            "user": {"username": user.username},
            "team": {"name": "red"},
        },
    }


def test_a_task_that_does_not_recur_says_so(user: Identity):
    query = """mutation { createTask(input: {name: "n", isRecurring: false}) {
        isRecurring cronExpression schedule { id } } }"""

    assert data(query, user) == {"createTask": {"isRecurring": False, "cronExpression": None, "schedule": None}}
    assert Schedule.objects.count() == 0


# --- several -------------------------------------------------------------------------------------------------------


def test_several_are_answered_in_their_order(user: Identity):
    names = [f"n-{number}" for number in range(120)]

    answer = data(CREATE_MANY, user, inputs=[{"name": name} for name in names])["createTasks"]

    assert [task["name"] for task in answer] == names
    assert [str(task.pk) for task in Task.objects.order_by("id")] == [task["id"] for task in answer]


def test_none_are_none(user: Identity):
    assert data(CREATE_MANY, user, inputs=[]) == {"createTasks": []}


def test_too_many_are_refused(user: Identity):
    assert refusal(CREATE_MANY, user, inputs=[{"name": "n"}] * 1001) == ("BAD_USER_INPUT", "inputs")
    assert Task.objects.count() == 0


def test_as_many_as_allowed_are_created(user: Identity):
    assert len(data(CREATE_MANY, user, inputs=[{"name": "n"}] * 1000)["createTasks"]) == 1000
    assert Task.objects.count() == 1000


# --- idempotency ---------------------------------------------------------------------------------------------------


def test_the_same_key_answers_with_the_first_task(user: Identity):
    input = {"name": "n", "payload": {"a": 1, "b": 2}, "idempotencyKey": "k"}
    first = create(user, **input)

    again = create(user, **{**input, "payload": {"b": 2, "a": 1}, "priority": 20})

    assert again == first
    assert Task.objects.get().priority == 5


@pytest.mark.parametrize("other", [{"payload": {"a": 2}}, {"name": "m"}])
def test_the_same_key_for_something_else_is_a_conflict(user: Identity, other: dict):
    input = {"name": "n", "payload": {"a": 1}, "idempotencyKey": "k"}
    first = create(user, **input)

    (error,) = ask(CREATE, identity=user, input={**input, **other})["errors"]

    assert error["extensions"] == {"code": "CONFLICT", "field": "input.idempotencyKey", "task": first["id"]}
    assert Task.objects.count() == 1


def test_keys_are_compared_byte_by_byte_and_belong_to_a_team(user: Identity, stranger: Identity):
    ids = {create(user, name="n", idempotencyKey=key)["id"] for key in ("k", "K", "k ")}
    ids.add(create(stranger, name="n", idempotencyKey="k")["id"])

    assert len(ids) == 4


def test_several_may_name_a_key_that_was_used(user: Identity):
    first = create(user, name="n", idempotencyKey="k")

    inputs = [{"name": "n", "idempotencyKey": key} for key in ("k", "l", "l", "k")]
    answer = data(CREATE_MANY, user, inputs=inputs)["createTasks"]

    assert [task["id"] == first["id"] for task in answer] == [True, False, False, True]
    assert answer[1] == answer[2]
    assert Task.objects.count() == 2


@pytest.mark.parametrize("used_before", [True, False])
def test_a_conflict_among_several_leaves_none_of_them(user: Identity, used_before: bool):
    first = {"name": "n", "idempotencyKey": "k"}
    if used_before:
        create(user, **first)
    before = Task.objects.count()

    inputs = [{"name": "a"}, first, {"name": "other", "idempotencyKey": "k"}]

    assert refusal(CREATE_MANY, user, inputs=inputs) == ("CONFLICT", "inputs[2].idempotencyKey")
    assert Task.objects.count() == before
