"""GraphQL over HTTP: requests that are none, bodies, methods, and who gets the page instead."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.api.sending import LIMIT, OPTIONS, code_of, get, make, post, send
from tests.unit.api.small_schema import CONTEXT, changes, schema

SIGNED_IN = replace(CONTEXT, identity=Identity(UUID(int=1), "ann", Role.USER, UUID(int=2)))


class Counting:
    """Rate limits that count callers and let all pass."""

    def __init__(self, counted: list[RequestContext]) -> None:
        self._counted = counted

    def refuse_exhausted(self, context: RequestContext) -> None:
        """Nobody is."""

    def take(self, context: RequestContext, permits: int = 1) -> None:
        """Note who came."""
        self._counted.append(context)


# --- requests that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b" ", b"{", b"[]", b'[{"query": "{ __typename }"}]', b'"text"', b"null", b"{}", b'{"query": 1}', b'{"query": ""}',
     b'{"query": "{ __typename }", "variables": []}', b'{"query": "{ __typename }", "variables": "{}"}',
     b'{"query": "{ __typename }", "operationName": 1}', b'{"query": "{ __typename }", "extensions": 1}',
     b'{"query": "{ __typename }", "variables": {"v": NaN}}', b'{"query": "{ __typename }", "variables": {"v": -Infinity}}',
     b'{"query": "\xff"}', '{"query": "{ __typename }"}'.encode("utf-16"), b"[" * 900],
)  # fmt: skip
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_what_is_no_graphql_request_is_400(body: bytes, accept: str):
    response = send(post(body, Accept=accept))

    assert (response.status_code, code_of(response)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("parameters", [{}, {"query": ""}, {"query": "{ __typename }", "variables": "{"}])
def test_what_is_no_graphql_request_is_400_with_get(parameters: dict[str, str]):
    response = send(get("application/json", **parameters))

    assert (response.status_code, code_of(response)) == (400, "BAD_USER_INPUT")


def test_a_member_of_the_wrong_kind_is_named():
    response = send(post({"query": "{ __typename }", "variables": [1]}))

    assert json.loads(response.content)["errors"] == [
        {
            "message": "The key 'variables' must hold an object.",
            "extensions": {"code": "BAD_USER_INPUT", "field": "variables"},
        }
    ]


def test_a_body_of_exactly_the_limit_is_read_and_a_larger_one_is_not():
    def body_of(size: int) -> bytes:
        return b'{"query": "mutation { change }"}'.ljust(size)

    assert send(post(body_of(LIMIT))).status_code == 200
    assert changes == [1]

    response = send(post(body_of(LIMIT + 1)))

    assert (response.status_code, code_of(response)) == (413, "PAYLOAD_TOO_LARGE")
    assert changes == [1]


def test_who_has_not_signed_in_may_send_less():
    options = ApiOptions(max_request_bytes=LIMIT, max_unsigned_bytes=100)
    small = json.dumps({"query": "mutation { change }"}).ljust(100)

    assert send(post(small), options=options).status_code == 200
    refused = send(post(small + " "), options=options)
    assert (refused.status_code, code_of(refused)) == (413, "PAYLOAD_TOO_LARGE")
    assert "larger than 100 bytes" in json.loads(refused.content)["errors"][0]["message"]
    assert changes == [1]

    assert send(post(small.ljust(LIMIT)), SIGNED_IN, options=options).status_code == 200
    assert send(post(small.ljust(LIMIT + 1)), SIGNED_IN, options=options).status_code == 413
    assert changes == [1, 1]


@pytest.mark.parametrize("body", ["{", '{"query": "{"}', '{"query": "{ __typename }"}'])
def test_every_request_counts_once_whether_it_can_be_read_or_not(body: str):
    counted: list[RequestContext] = []
    reporter = ErrorReporter(Faults(Observer(Recorder()), lambda: "error-id"))

    send(post(body), engine=Engine(schema, OPTIONS, reporter, Counting(counted)))

    assert counted == [CONTEXT]


# --- methods ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_mutation_with_get_is_405(accept: str):
    response = send(get(accept, query="mutation { change }"))

    assert (response.status_code, response["Allow"], code_of(response)) == (405, "POST", "METHOD_NOT_ALLOWED")
    assert changes == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(method: str):
    request = make.generic(method, "/graphql", '{"query": "mutation { change }"}', content_type="application/json")

    response = send(request)

    assert (response.status_code, response["Allow"], code_of(response)) == (
        405,
        "GET, HEAD, POST",
        "METHOD_NOT_ALLOWED",
    )
    assert changes == []


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def test_a_browser_gets_the_page():
    assert send(get(BROWSER)).content == b"the page"


def test_a_browser_with_a_query_gets_the_answer():
    assert send(get(BROWSER, query="{ __typename }")).content == b'{"data":{"__typename":"Query"}}'


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_a_program_without_a_query_does_not_get_the_page(accept: str | None):
    assert send(get(accept)).status_code == 400
