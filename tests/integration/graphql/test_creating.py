"""createTask and createTasks: what is stored, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks.models import Queue, Task
from tests.integration.graphql.creating import CREATE, CREATE_MANY, create
from tests.integration.graphql.making import data, make_identity, make_worker, refusal

pytestmark = pytest.mark.django_db

TOO_LARGE = {"text": "x" * 256 * 1024}


def test_every_field_of_the_input_is_stored(user: Identity):
    later = database_clock.now() + timedelta(hours=1)
    create(
        user,
        name="n",
        title="A title",
        description="A description",
        payload={"a": [1, 2.5, None, {"b": "ü"}]},
        priority="critical",
        queue="mail",
        maxRetries=7,
        timeoutSeconds=12.5,
        scheduledAt=DateTime.serialize(later),
        idempotencyKey="key",
    )

    task = Task.objects.get()
    assert (task.name, task.title, task.description, task.queue) == ("n", "A title", "A description", "mail")
    assert task.payload == {"a": [1, 2.5, None, {"b": "ü"}]}
    assert (task.priority, task.max_retries, task.timeout_seconds) == (20, 7, 12.5)
    assert (task.status, task.scheduled_at, task.idempotency_key) == ("PENDING", later, "key")
    assert (task.team_id, task.user_id) == (user.team_id, user.user_id)


def test_what_is_left_out_or_null_comes_from_the_defaults(user: Identity):
    fields = ("title", "description", "payload", "priority", "queue", "maxRetries", "timeoutSeconds", "scheduledAt")
    create(user, name="n", **dict.fromkeys((*fields, "delaySeconds", "idempotencyKey", "cronExpression", "timezone")))

    task = Task.objects.get()
    assert (task.name, task.title, task.description, task.payload) == ("n", "n", "", {})
    assert (task.queue, task.priority, task.max_retries, task.timeout_seconds) == ("default", 5, 3, 3600)
    assert (task.status, task.scheduled_at, task.idempotency_key) == ("QUEUED", None, None)


def test_the_handler_is_found_by_name_then_type_then_title(user: Identity):
    for input in (
        {"name": "a", "payload": {"type": "b"}, "title": "C c"},
        {"payload": {"type": "b"}, "title": "C c"},
        {"title": "C c"},
    ):
        create(user, **input)

    assert [task.name for task in Task.objects.order_by("id")] == ["a", "b", "c-c"]


def test_a_delay_is_counted_from_now(user: Identity):
    before = database_clock.now()
    create(user, name="n", delaySeconds=60)

    task = Task.objects.get()
    assert task.status == "PENDING"
    assert timedelta(seconds=60) <= task.scheduled_at - before < timedelta(seconds=70)


def test_an_unknown_handler_is_accepted_and_shown_as_such(user: Identity):
    query = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { status handlerKnown } }"
    make_worker(handlers=("known-to-a-worker",))
    make_worker(handlers=("known-to-another-team",), team=_team_of(make_identity(team="blue")))
    make_worker(handlers=("forgotten",), silent=timedelta(hours=1))

    known = {
        name: data(query, user, input={"name": name})["createTask"]
        for name in ("nobody-knows", "send-email", "known-to-a-worker", "known-to-another-team", "forgotten")
    }

    assert {name: answer["handlerKnown"] for name, answer in known.items()} == {
        "nobody-knows": False,
        "send-email": True,
        "known-to-a-worker": True,
        "known-to-another-team": False,
        "forgotten": False,
    }
    assert {answer["status"] for answer in known.values()} == {"QUEUED"}


def _team_of(identity: Identity) -> Any:
    from accounts.models import Team

    return Team.objects.get(pk=identity.team_id)


BAD_INPUTS = [
    ({}, "BAD_USER_INPUT", "name"),
    ({"title": "!!!"}, "BAD_USER_INPUT", "name"),
    ({"name": ""}, "BAD_USER_INPUT", "name"),
    ({"name": "no spaces"}, "BAD_USER_INPUT", "name"),
    ({"name": "x" * 101}, "BAD_USER_INPUT", "name"),
    ({"payload": {"type": 5}}, "BAD_USER_INPUT", "payload.type"),
    ({"name": "n", "title": "x" * 201}, "BAD_USER_INPUT", "title"),
    ({"name": "n", "description": "x" * 10_001}, "BAD_USER_INPUT", "description"),
    ({"name": "n", "payload": [1]}, "BAD_USER_INPUT", "payload"),
    ({"name": "n", "payload": "text"}, "BAD_USER_INPUT", "payload"),
    ({"name": "n", "payload": {"x": float("nan")}}, "BAD_USER_INPUT", "payload"),
    ({"name": "n", "payload": TOO_LARGE}, "PAYLOAD_TOO_LARGE", "payload"),
    ({"name": "n", "priority": 101}, "BAD_USER_INPUT", "priority"),
    ({"name": "n", "priority": -101}, "BAD_USER_INPUT", "priority"),
    ({"name": "n", "priority": 1.5}, "BAD_USER_INPUT", "priority"),
    ({"name": "n", "priority": "URGENT"}, "BAD_USER_INPUT", "priority"),
    ({"name": "n", "queue": ""}, "BAD_USER_INPUT", "queue"),
    ({"name": "n", "queue": "a/b"}, "BAD_USER_INPUT", "queue"),
    ({"name": "n", "maxRetries": -1}, "BAD_USER_INPUT", "maxRetries"),
    ({"name": "n", "maxRetries": 1001}, "BAD_USER_INPUT", "maxRetries"),
    ({"name": "n", "maxRetries": "many"}, "BAD_USER_INPUT", "maxRetries"),
    ({"name": "n", "timeoutSeconds": 0}, "BAD_USER_INPUT", "timeoutSeconds"),
    ({"name": "n", "timeoutSeconds": 30 * 86400 + 1}, "BAD_USER_INPUT", "timeoutSeconds"),
    ({"name": "n", "scheduledAt": "tomorrow"}, "BAD_USER_INPUT", "scheduledAt"),
    ({"name": "n", "scheduledAt": "2199-01-01T00:00:00Z"}, "BAD_USER_INPUT", "scheduledAt"),
    ({"name": "n", "delaySeconds": -1}, "BAD_USER_INPUT", "delaySeconds"),
    ({"name": "n", "delaySeconds": 1, "scheduledAt": "2025-01-01"}, "BAD_USER_INPUT", "delaySeconds"),
    ({"name": "n", "idempotencyKey": ""}, "BAD_USER_INPUT", "idempotencyKey"),
    ({"name": "n", "idempotencyKey": "x" * 256}, "BAD_USER_INPUT", "idempotencyKey"),
    ({"name": "n", "idempotencyKey": "schedule:1"}, "BAD_USER_INPUT", "idempotencyKey"),
    ({"name": "n", "colour": "red"}, "BAD_USER_INPUT", "colour"),
    ({"name": "n", "isRecurring": True}, "BAD_USER_INPUT", "cronExpression"),
    ({"name": "n", "timezone": "UTC"}, "BAD_USER_INPUT", "timezone"),
    ({"name": "n", "cronExpression": ""}, "BAD_USER_INPUT", "cronExpression"),
    ({"name": "n", "cronExpression": "61 * * * *"}, "BAD_USER_INPUT", "cronExpression"),
    ({"name": "n", "cronExpression": "0 0 30 2 *"}, "BAD_USER_INPUT", "cronExpression"),
    ({"name": "n", "cronExpression": "@daily", "isRecurring": False}, "BAD_USER_INPUT", "isRecurring"),
    ({"name": "n", "cronExpression": "@daily", "timezone": "Mars/Base"}, "BAD_USER_INPUT", "timezone"),
    ({"name": "n", "cronExpression": "@daily", "timezone": ""}, "BAD_USER_INPUT", "timezone"),
    ({"name": "n", "cronExpression": "@daily", "delaySeconds": 1}, "BAD_USER_INPUT", "delaySeconds"),
    ({"name": "n", "cronExpression": "@daily", "scheduledAt": "2025-01-01"}, "BAD_USER_INPUT", "scheduledAt"),
    ({"name": "n", "cronExpression": "@daily", "idempotencyKey": "k"}, "BAD_USER_INPUT", "idempotencyKey"),
    ({"name": "n", "cronExpression": "@daily", "whenLost": "HOLD"}, "BAD_USER_INPUT", "whenLost"),
    ({"name": "n", "whenLost": "FORGET"}, "BAD_USER_INPUT", "whenLost"),
]


def rows() -> tuple[int, int, int]:
    return Task.objects.count(), Schedule.objects.count(), Queue.objects.count()


@pytest.mark.parametrize(("input", "code", "field"), BAD_INPUTS)
def test_bad_input_names_code_and_field_and_writes_nothing(user: Identity, input: dict, code: str, field: str):
    before = rows()

    assert refusal(CREATE, user, input=input) == (code, f"input.{field}")
    assert rows() == before


@pytest.mark.parametrize(("input", "code", "field"), BAD_INPUTS)
def test_one_bad_input_of_several_leaves_none_and_is_named(user: Identity, input: dict, code: str, field: str):
    before = rows()
    if "cronExpression" in input and field != "isRecurring":
        field = "cronExpression"

    assert refusal(CREATE_MANY, user, inputs=[{"name": "a"}, {"name": "b"}, input]) == (code, f"inputs[2].{field}")
    assert rows() == before


@pytest.mark.parametrize(
    ("literal", "field"),
    [
        ('{name: "n", priority: 500}', "priority"),
        ('{name: "n", priority: URGENT}', "priority"),
        ('{name: "n", scheduledAt: "soon"}', "scheduledAt"),
        ('{name: "n", maxRetries: "x"}', "maxRetries"),
        ('{name: "n", payload: 5}', "payload"),
    ],
)
def test_a_bad_literal_is_named_too(user: Identity, literal: str, field: str):
    assert refusal(f"mutation {{ createTask(input: {literal}) {{ id }} }}", user) == (
        "BAD_USER_INPUT",
        f"input.{field}",
    )
    assert rows()[0] == 0


def test_a_payload_as_large_as_allowed_is_taken(user: Identity):
    payload = {"text": "x" * (256 * 1024 - len('{"text":""}'))}

    create(user, name="n", payload=payload)

    assert Task.objects.get().payload == payload
