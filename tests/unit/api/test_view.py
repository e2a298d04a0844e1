"""GraphQL over HTTP: what is answered, in which media type and with which status code."""

from __future__ import annotations

import json

import pytest

from dtq_site.api.http import GRAPHQL_TYPE, JSON_TYPE
from dtq_site.foundation.errors import RateLimited, Unauthenticated
from tests.unit.api.sending import code_of, get, make, post, send
from tests.unit.api.small_schema import changes

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
