"""What clients learn of errors: codes, fields, places; and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from dtq_site.api import blame
from dtq_site.api.engine import GraphQLRequest
from tests.unit.api.small_schema import CONTEXT, make_engine


def run(query: str, **variables: Any) -> dict[str, Any]:
    engine, recorder = make_engine()
    body = engine.answer(GraphQLRequest(query, variables), CONTEXT).body
    assert recorder.events == []
    return body


# --- errors of resolvers ------------------------------------------------------------------------------------------------


def test_an_error_of_ours_keeps_its_message_code_field_and_details():
    assert run("{ conflict }") == {
        "data": {"conflict": None},
        "errors": [
            {
                "message": "It runs already.",
                "locations": [{"line": 1, "column": 3}],
                "path": ["conflict"],
                "extensions": {"code": "CONFLICT", "field": "id", "state": "PROCESSING"},
            }
        ],
    }


def test_a_field_is_named_from_the_argument_on():
    assert run("{ refused }")["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "inputs[3].at"}


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("broken", "KeyError('secret')"),
        ("bare", "DTQError('an inner matter')"),
        ("needed", "TypeError('Cannot return null for non-nullable field Query.needed.')"),
        ("tooLarge", "GraphQLError('Int cannot represent non 32-bit signed integer value: 1099511627776')"),
    ],
)
def test_a_defect_is_masked_and_told_with_an_id_and_the_trace(field: str, told: str):
    engine, recorder = make_engine()

    body = engine.answer(GraphQLRequest(f"{{ {field} }}"), CONTEXT).body

    (error,) = body["errors"]
    assert error["message"] == "Something went wrong on our side."
    assert error["extensions"] == {"code": "INTERNAL", "id": "error-id"}
    assert error["path"] == [field]
    (event,) = recorder.named("graphql.failed")
    assert event.facts["id"] == "error-id"
    assert event.facts["path"] == [field]
    assert event.facts["error"].startswith(told[:-2])
    assert event.facts["trace"].startswith("Traceback (most recent call last):")


@pytest.mark.parametrize("field", ["away", "locked"])
def test_a_database_that_is_away_or_busy_is_unavailable(field: str):
    (error,) = run(f"{{ {field} }}")["errors"]

    assert error["extensions"] == {"code": "UNAVAILABLE"}
    assert "idempotency key" in error["message"]


def test_one_field_that_fails_leaves_the_others():
    body = run('{ conflict must(text: "x") }')

    assert body["data"] == {"conflict": None, "must": "x"}
    assert [error["path"] for error in body["errors"]] == [["conflict"]]


# --- documents ----------------------------------------------------------------------------------------------------------


def test_a_syntax_error_has_a_code_and_a_place():
    assert run("{ echo(") == {
        "errors": [
            {
                "message": "Syntax Error: Expected Name, found <EOF>.",
                "locations": [{"line": 1, "column": 8}],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
    }


def test_a_field_that_does_not_exist_is_refused_with_a_suggestion():
    (error,) = run("{ ech }")["errors"]

    assert error["message"] == "Cannot query field 'ech' on type 'Query'. Did you mean 'echo'?"
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


def test_every_error_of_a_document_is_told():
    errors = run("{ nope echo(nope: 1) }")["errors"]

    assert [error["extensions"] for error in errors] == [
        {"code": "BAD_USER_INPUT"},
        {"code": "BAD_USER_INPUT", "field": "nope"},
    ]


def test_an_unknown_operation_name_is_bad_input():
    engine, _ = make_engine()

    answer = engine.answer(GraphQLRequest("query A { __typename }", operation_name="B"), CONTEXT)

    assert answer.body == {
        "errors": [{"message": "Unknown operation named 'B'.", "extensions": {"code": "BAD_USER_INPUT"}}]
    }
    assert answer.refused == "BAD_USER_INPUT"


# --- the field to blame -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("text: 1", "text"),
        ("priority: 500", "priority"),
        ('input: {name: "a", priority: 500}', "input.priority"),
        ('input: {name: "a", at: "soon"}', "input.at"),
        ('input: {name: "a", payload: {deep: [1e999]}}', "input.payload"),
        ('inputs: [{name: "a"}, {name: "b", status: "x"}]', "inputs[1].status"),
        ("input: {priority: 1}", "input.name"),
        ('inputs: [{name: "a"}, {}]', "inputs[1].name"),
        ('input: {name: "a", nope: 1}', "input.nope"),
        ("nope: 1", "nope"),
        ("input: 1", "input"),
        ("input: {name: null}", "input.name"),
    ],
)
def test_a_literal_is_blamed_by_its_path(arguments: str, field: str):
    errors = run(f"{{ echo({arguments}) }}")["errors"]

    assert [error["extensions"] for error in errors] == [{"code": "BAD_USER_INPUT", "field": field}]
    assert "data" not in run(f"{{ echo({arguments}) }}")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"name": "a", "priority": 500}, ".priority"),
        ({"name": "a", "at": "soon"}, ".at"),
        ({"name": "a", "payload": {"deep": [float("inf")]}}, ".payload"),
        ({"name": "a", "status": "x at 'v.name'"}, ".status"),
        ({"priority": 1}, ".name"),
        ({"name": None}, ".name"),
        ({"name": "a", "nope": 1}, ".nope"),
        ({"name": "a", "no, pe": 1}, ""),
        ("text at 'v.name'", ""),
        (7, ""),
    ],
)
def test_a_variable_is_blamed_by_the_path_of_the_argument_where_it_stands(value: Any, place: str):
    for query, root in [
        ("query ($input: TaskInput) { echo(input: $input) }", "input"),
        ('query ($input: TaskInput!) { echo(inputs: [{name: "a"}, $input]) }', "inputs[1]"),
    ]:
        body = run(query, input=value)
        assert [error["extensions"] for error in body["errors"]] == [{"code": "BAD_USER_INPUT", "field": root + place}]
        assert "data" not in body


def test_a_variable_in_a_list_is_blamed_with_its_index():
    query = "query ($all: [TaskInput!]!) { echo(inputs: $all) }"

    errors = run(query, all=[{"name": "a"}, {"name": "b", "priority": "x"}, {}, None])["errors"]

    assert [error["extensions"]["field"] for error in errors] == ["inputs[1].priority", "inputs[2].name", "inputs[3]"]


def test_variables_within_an_object_are_blamed_by_its_path():
    query = "query ($p: Priority, $n: String!) { echo(input: {name: $n, priority: $p}) }"

    errors = run(query, p="x")["errors"]

    assert [error["extensions"]["field"] for error in errors] == ["input.priority", "input.name"]


def test_a_variable_that_is_required_and_missing_is_blamed_by_its_argument():
    query = "query ($t: String!) { must(text: $t) }"

    for variables in ({}, {"t": None}, {"t": 5}):
        assert run(query, **variables)["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "text"}


def test_an_argument_that_is_required_and_missing_is_named():
    (error,) = run("{ must }")["errors"]

    assert error["message"] == "Field 'must' argument 'text' of type 'String!' is required, but it was not provided."
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "text"}


def test_a_null_that_validation_lets_through_is_blamed_at_execution():
    query = 'query ($t: String = "x") { must(text: $t) }'

    (error,) = run(query, t=None)["errors"]

    assert error["message"] == "Argument 'text' of non-null type 'String!' must not be null."
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "text"}


def test_half_a_surrogate_pair_is_blamed_like_any_other_value():
    (error,) = run("query ($s: TaskStatus) { echo(status: $s) }", s="\ud800")["errors"]

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "status"}


def test_a_document_is_looked_through_once_for_all_its_errors(monkeypatch: pytest.MonkeyPatch):
    looks = []
    monkeypatch.setattr(blame, "visit", lambda document, visitor: looks.append(document))
    unused = " ".join(f"$v{number}: Int" for number in range(20))

    errors = run(f"query ({unused}) {{ bare }}")["errors"]

    assert [error["extensions"]["field"] for error in errors] == [f"v{number}" for number in range(20)]
    assert len(looks) == 1
