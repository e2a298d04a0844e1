"""GraphQL over HTTP: methods, media types, status codes, bodies."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.http import GRAPHQL_TYPE, JSON_TYPE
from dtq_site.api.options import ApiOptions
from dtq_site.api.threads import RequestThreads
from dtq_site.api.view import graphql_view
from dtq_site.foundation.errors import RateLimited, Unauthenticated
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.api.small_schema import CONTEXT, changes, make_engine, schema

LIMIT = 1000
OPTIONS = ApiOptions(max_request_bytes=LIMIT)
SIGNED_IN = replace(CONTEXT, identity=Identity(UUID(int=1), "ann", Role.USER, UUID(int=2)))
make = AsyncRequestFactory()


@pytest.fixture(autouse=True)
def no_changes() -> None:
    """Forget what the mutations of other tests did."""
    changes.clear()


class Counting:
    """Rate limits that count callers and let all pass."""

    def __init__(self, counted: list[RequestContext]) -> None:
        self._counted = counted

    def refuse_exhausted(self, context: RequestContext) -> None:
        """Nobody is."""

    def take(self, context: RequestContext, permits: int = 1) -> None:
        """Note who came."""
        self._counted.append(context)


def send(
    request: HttpRequest,
    context: RequestContext | Exception = CONTEXT,
    *,
    options: ApiOptions = OPTIONS,
    engine: Engine | None = None,
) -> HttpResponse:
    def context_of(_request: HttpRequest) -> RequestContext:
        if isinstance(context, Exception):
            raise context
        return context

    view = graphql_view(
        engine or make_engine()[0],
        RequestThreads(1),
        context_of=context_of,
        page=lambda _request: HttpResponse("the page"),
        options=options,
    )
    return asyncio.run(view(request))


def post(content: Any, **headers: str) -> HttpRequest:
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return make.post("/graphql", body, content_type=headers.pop("content_type", "application/json"), headers=headers)


def get(accept: str | None = None, **parameters: str) -> HttpRequest:
    return make.get("/graphql", parameters, headers={"Accept": accept} if accept else {})


def code_of(response: HttpResponse) -> str:
    return json.loads(response.content)["errors"][0]["extensions"]["code"]


# --- what is answered ---------------------------------------------------------------------------------------------------


def test_a_query_is_answered_with_post():
    response = send(
        post(
            {
                "query": "query A($t: String!) { must(text: $t) } query B { __typename }",
                "variables": {"t": "ü"},
                "operationName": "A",
                "extensions": {"any": 1},
            }
        )
    )

    assert response.status_code == 200
    assert response.content == '{"data":{"must":"ü"}}'.encode()
    assert response["Content-Type"] == JSON_TYPE
    assert response["Cache-Control"] == "no-store"


def test_a_query_is_answered_with_get():
    response = send(get(query="query A($t: String!) { must(text: $t) }", variables='{"t": "x"}', operationName="A"))

    assert (response.status_code, response.content) == (200, b'{"data":{"must":"x"}}')


def test_null_and_empty_members_count_as_left_out():
    response = send(post({"query": "{ __typename }", "variables": None, "operationName": None, "extensions": None}))
    assert response.status_code == 200

    response = send(get(query="{ __typename }", variables="", operationName="", extensions=""))
    assert response.status_code == 200


def test_the_query_of_the_address_does_not_count_in_a_post():
    request = make.post("/graphql?query={nope}", '{"query": "{ __typename }"}', content_type="application/json")

    assert send(request).content == b'{"data":{"__typename":"Query"}}'


def test_half_a_surrogate_pair_comes_back_as_it_came():
    response = send(post(b'{"query": "query ($t: String!) { must(text: $t) }", "variables": {"t": "\\ud800"}}'))

    assert response.content == b'{"data":{"must":"\\ud800"}}'


def test_an_answer_that_is_no_json_is_a_defect_of_ours():
    response = send(post({"query": "{ notJson }"}))

    assert (response.status_code, code_of(response)) == (500, "INTERNAL")


# --- media types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON_TYPE),
        ("*/*", JSON_TYPE),
        ("application/*", JSON_TYPE),
        ("application/json", JSON_TYPE),
        ("application/json; charset=utf-8", JSON_TYPE),
        ("application/graphql-response+json", GRAPHQL_TYPE),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_TYPE),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_TYPE),
        ("application/json, application/graphql-response+json;q=0.5", JSON_TYPE),
        ("text/html, */*;q=0.1", JSON_TYPE),
    ],
)
def test_the_answer_has_the_media_type_that_the_client_prefers(accept: str | None, media_type: str):
    response = send(post({"query": "{ __typename }"}, **({"Accept": accept} if accept else {})))

    assert (response.status_code, response["Content-Type"]) == (200, media_type)


def test_a_client_that_takes_neither_is_told_so():
    response = send(post({"query": "mutation { change }"}, Accept="image/png"))

    assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")
    assert response["Content-Type"] == JSON_TYPE
    assert changes == []


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=latin-1",
    ],
)
def test_a_body_that_a_form_of_another_site_could_send_is_refused(content_type: str):
    response = send(post('{"query": "mutation { change }"}', content_type=content_type))

    assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert changes == []


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "APPLICATION/JSON", "application/json;charset=utf8"]
)
def test_json_in_utf_8_may_be_announced_in_every_usual_way(content_type: str):
    assert send(post('{"query": "{ __typename }"}', content_type=content_type)).status_code == 200


# --- status codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "BAD_USER_INPUT"),
        ("{ nope }", "BAD_USER_INPUT"),
        ("query ($t: String!) { must(text: $t) }", "BAD_USER_INPUT"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ("subscription { ticks }", "BAD_USER_INPUT"),
        (
            "{"
            + "a:__typename " * 20
            + "b:node{node{node{node{node{node{node{node{node{node{node{node{node{value}}}}}}}}}}}}}}",
            "QUERY_TOO_COMPLEX",
        ),
    ],
)
def test_a_wrong_document_is_200_in_json_and_400_in_the_media_type_of_graphql(query: str, code: str):
    for accept, status in (("application/json", 200), ("application/graphql-response+json", 400)):
        response = send(post({"query": query}, Accept=accept))
        assert (response.status_code, code_of(response)) == (status, code)
        assert "data" not in json.loads(response.content)


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_an_error_of_a_field_is_200(accept: str):
    response = send(post({"query": "{ conflict }"}, Accept=accept))

    assert response.status_code == 200
    assert json.loads(response.content)["data"] == {"conflict": None}


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_token_that_is_not_good_is_401(accept: str):
    response = send(post({"query": "mutation { change }"}, Accept=accept), Unauthenticated("No."))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert json.loads(response.content) == {"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}
    assert changes == []


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_too_many_requests_are_429_and_say_when_to_come_back(accept: str):
    response = send(post({"query": "mutation { change }"}, Accept=accept), RateLimited(retry_after_seconds=1.2))

    assert (response.status_code, response["Retry-After"]) == (429, "2")
    assert json.loads(response.content)["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 1.2}
    assert changes == []


def test_a_defect_before_the_execution_is_masked_and_500():
    response = send(post({"query": "{ __typename }"}), KeyError("secret"))

    assert (response.status_code, code_of(response)) == (500, "INTERNAL")
    assert b"secret" not in response.content


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
