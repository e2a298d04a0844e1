"""Wrong requests to the real schema: the right status, code and field, and nothing written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from tasks.models import Task
from tests.integration.accounts.making import make_user, sign_in

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

GRAPHQL = "application/graphql-response+json"
CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { title payload } }"


@pytest.fixture
def token(settings: Settings) -> str:
    """An access token of somebody who may create tasks."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make_user("ann")
    return sign_in("ann").access_token


def send(token: str, body: bytes | dict[str, Any]) -> HttpResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Accept": GRAPHQL}
    return Client().post("/graphql", content, content_type="application/json", headers=headers)


def input_of(text: str) -> bytes:
    """A creation whose input is this JSON text."""
    return b'{"query": ' + json.dumps(CREATE).encode() + b', "variables": {"input": ' + text.encode() + b"}}"


@pytest.mark.parametrize(
    ("body", "status", "extensions"),
    [
        (b'{"query": ', 400, {"code": "BAD_USER_INPUT"}),
        (b'{"query": "\xff"}', 400, {"code": "BAD_USER_INPUT"}),
        (b"\x00", 400, {"code": "BAD_USER_INPUT"}),
        (b"[" * 100_000, 400, {"code": "BAD_USER_INPUT"}),
        (input_of('{"name": "a", "payload": {"n": NaN}}'), 400, {"code": "BAD_USER_INPUT"}),
        (input_of('{"name": 1}'), 400, {"code": "BAD_USER_INPUT", "field": "input.name"}),
        (input_of('{"name": "a", "nope": 1}'), 400, {"code": "BAD_USER_INPUT", "field": "input.nope"}),
        (input_of('{"name": "a", "maxRetries": 1e400}'), 400, {"code": "BAD_USER_INPUT", "field": "input.maxRetries"}),
        (input_of('{"name": "a", "maxRetries": 99999999999}'), 400,
         {"code": "BAD_USER_INPUT", "field": "input.maxRetries"}),
        (input_of('{"name": "a", "payload": {"n": ' + "9" * 5000 + "}}"), 400,
         {"code": "BAD_USER_INPUT", "field": "input.payload"}),
        (input_of('{"name": "a", "payload": {"deep": ' + "[" * 200 + "]" * 200 + "}}"), 400,
         {"code": "BAD_USER_INPUT", "field": "input.payload"}),
        (input_of('{"name": "a", "payload": []}'), 200, {"code": "BAD_USER_INPUT", "field": "input.payload"}),
        (input_of('{"name": "a", "payload": {"half": "\\ud800"}}'), 400,
         {"code": "BAD_USER_INPUT", "field": "input.payload"}),
        (b'{"query": "{' + b" ".join(b"a%d: __typename" % n for n in range(10_000)) + b'}"}', 400,
         {"code": "QUERY_TOO_COMPLEX"}),
        (b'{"query": "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }"}', 400,
         {"code": "BAD_USER_INPUT"}),
        (b'{"query": "{ tasks(limit: 1000) { logs { message level createdAt attempt } } }"}', 400,
         {"code": "QUERY_TOO_COMPLEX", "cost": 210_200, "limit": 50_000}),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_so_and_nothing_is_written(
    token: str, body: bytes, status: int, extensions: dict[str, Any]
):
    response = send(token, body)

    assert response.status_code == status, response.content
    assert response.json()["errors"][0]["extensions"] == extensions
    assert not Task.objects.exists()


def test_a_payload_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(token: str, settings: Settings):
    most = settings.DTQ_TASKS.max_json_bytes
    frame = len(b'{"text":""}')

    fits = send(
        token, {"query": CREATE, "variables": {"input": {"name": "a", "payload": {"text": "x" * (most - frame)}}}}
    )
    over = send(
        token, {"query": CREATE, "variables": {"input": {"name": "a", "payload": {"text": "x" * (most - frame + 1)}}}}
    )

    assert "errors" not in fits.json()
    assert over.json()["errors"][0]["extensions"] == {"code": "PAYLOAD_TOO_LARGE", "field": "input.payload"}
    assert Task.objects.count() == 1


def test_emoji_and_nul_in_json_survive_the_database(token: str):
    payload = {"emoji": "👩‍🚀🧵", "nul": "a\x00b", "big": 2**60}

    answer = send(token, {"query": CREATE, "variables": {"input": {"name": "a", "title": "🧵", "payload": payload}}})

    assert answer.json()["data"]["createTask"] == {"title": "🧵", "payload": payload}
    assert Task.objects.get().payload == payload
