"""What messages repeat of a caller's values, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema

from dtq_site.api.engine import Engine, GraphQLRequest
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer
from tests.unit.api.small_schema import CONTEXT, UNLIMITED, make_engine

SECRET = "hunter2"
ACCOUNTS = build_schema(
    """
    type Query {
        login(input: Login, inputs: [Login!]): Int
        change(current: String!, new: String!): Int
        out(refreshToken: String): Int
    }
    input Login { username: String password: String! age: Int }
    """
)


def refuse(query: str, **variables: Any) -> tuple[str, str | None]:
    engine = Engine(ACCOUNTS, ApiOptions(), ErrorReporter(Faults(Observer(), lambda: "id")), UNLIMITED)
    (error,) = engine.answer(GraphQLRequest(query, variables), CONTEXT).body["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    return error["message"], error["extensions"].get("field")


def refuse_small(query: str, **variables: Any) -> tuple[str, str | None]:
    engine, _ = make_engine()
    (error,) = engine.answer(GraphQLRequest(query, variables), CONTEXT).body["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    return error["message"], error["extensions"].get("field")


LOGIN = "query ($i: Login!) { login(input: $i) }"


@pytest.mark.parametrize(
    ("value", "message", "field"),
    [
        (
            {"username": "ann", "password": SECRET, "foo": 1},
            "Variable '$i' got invalid value {…}; Field 'foo' is not defined by type 'Login'.",
            "input.foo",
        ),
        (
            {"username": SECRET},
            "Variable '$i' got invalid value {…}; Field 'password' of required type 'String!' was not provided.",
            "input.password",
        ),
        (
            {"password": {"is": SECRET}},
            "Variable '$i' got invalid value {…} at 'i.password'; String cannot represent a non string value: {…}",
            "input.password",
        ),
        (
            {"password": [SECRET]},
            "Variable '$i' got invalid value […] at 'i.password'; String cannot represent a non string value: […]",
            "input.password",
        ),
        (
            {"password": 271828},
            "Variable '$i' got invalid value (not shown) at 'i.password';"
            " String cannot represent a non string value: (not shown)",
            "input.password",
        ),
        (
            {"password": SECRET, "age": "old at 'i.x'"},
            "Variable '$i' got invalid value \"old at 'i.x'\" at 'i.age';"
            " Int cannot represent non-integer value: \"old at 'i.x'\"",
            "input.age",
        ),
        (
            {"password": SECRET, "age": "x" * 100},
            "Variable '$i' got invalid value (not shown) at 'i.age'; Int cannot represent non-integer value: (not shown)",
            "input.age",
        ),
        ([SECRET], "Variable '$i' got invalid value […]; Expected type 'Login' to be a mapping.", "input"),
    ],
)
def test_of_a_variable_only_a_short_scalar_of_the_blamed_field_is_repeated(value: Any, message: str, field: str):
    assert refuse(LOGIN, i=value) == (message, field)


@pytest.mark.parametrize(
    ("arguments", "message", "field"),
    [
        ("input: [{a: hunter2}]", "Expected value of type 'Login', found […].", "input"),
        ("input: {password: 271828}", "String cannot represent a non string value: (not shown)", "input.password"),
        ("input: {password: a}", "String cannot represent a non string value: (not shown)", "input.password"),
        ("input: {password: {a: hunter2}}", "String cannot represent a non string value: {…}", "input.password"),
        ('input: {password: "hunter2", age: old}', "Int cannot represent non-integer value: old", "input.age"),
        (
            'inputs: [{password: "hunter2", foo: 1}]',
            "Field 'foo' is not defined by type 'Login'.",
            "inputs[0].foo",
        ),
    ],
)
def test_of_a_literal_only_a_short_scalar_of_the_blamed_field_is_repeated(arguments: str, message: str, field: str):
    assert refuse(f"{{ login({arguments}) }}") == (message, field)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ('{ change(current: 271828, new: "x") }', "current"),
        ('{ change(current: "x", new: 271828) }', "new"),
        ("{ out(refreshToken: 271828) }", "refreshToken"),
        ("query ($t: String = 271828) { out(refreshToken: $t) }", None),
    ],
)
def test_a_secret_is_known_by_the_name_of_its_field(query: str, field: str | None):
    assert refuse(query) == ("String cannot represent a non string value: (not shown)", field)


def test_a_value_that_fails_at_execution_is_not_repeated_either():
    query = 'query ($p: String = "x") { login(input: {username: "hunter2", password: $p}) }'

    assert refuse(query, p=None) == ("Argument 'input' has invalid value {…}.", "input")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('{ login(input: {password "hunter2"}) }', "Syntax Error: Expected ':', found String."),
        ('{ login(input: {password """hunter2"""}) }', "Syntax Error: Expected ':', found BlockString."),
        ("{ login(input: {password: 1 271828}) }", "Syntax Error: Expected Name, found Int."),
        ("{ login(input: {password: 1) }", "Syntax Error: Expected Name, found ')'."),
    ],
)
def test_a_syntax_error_names_the_kind_of_a_literal_only(query: str, message: str):
    assert refuse(query) == (message, None)


@pytest.mark.parametrize("value", ["urgent", 500, {"password": SECRET}, "x" * 1000])
def test_a_scalar_of_ours_does_not_repeat_what_the_edge_hides(value: Any):
    message, field = refuse_small("query ($p: Priority) { echo(priority: $p) }", p=value)

    shown = {"urgent": "'urgent'", 500: "500"}.get(value if isinstance(value, str | int) else None)
    quoted = shown or ("{…}" if isinstance(value, dict) else "(not shown)")
    assert message == (
        f"Variable '$p' got invalid value {quoted}; Expected type 'Priority'."
        " use a whole number from -100 to 100 or one of CRITICAL, HIGH, NORMAL, LOW"
    )
    assert field == "priority"


# --- numbers that are too large -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1e999"])
@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("number: {}", "number"),
        ("priority: {}", "priority"),
        ("payload: {}", "payload"),
        ('input: {{name: "a", priority: {}}}', "input.priority"),
        ('inputs: [{{name: "a", priority: {}}}]', "inputs[0].priority"),
    ],
)
def test_a_literal_number_that_is_too_large_is_told_so(number: str, argument: str, field: str):
    assert refuse_small(f"{{ echo({argument.format(number)}) }}") == ("The number is too large.", field)


@pytest.mark.parametrize("number", ["9" * 5000, "1e999"])
def test_a_number_that_is_too_large_inside_a_json_literal_is_told_so(number: str):
    assert refuse_small(f'{{ echo(input: {{name: "a", payload: {{deep: [{number}]}}}}) }}') == (
        "Expected value of type 'JSON', found {…}; it contains a number that is infinite or too large",
        "input.payload",
    )


def test_a_variable_number_that_is_too_large_is_told_so():
    infinite = float("inf")

    assert refuse_small("query ($n: Int) { echo(number: $n) }", n=infinite) == (
        "Variable '$n' got invalid value (out of range); Int cannot represent non-integer value: (out of range)",
        "number",
    )
    assert refuse_small("query ($v: JSON) { echo(payload: $v) }", v={"deep": [infinite]}) == (
        "Variable '$v' got invalid value {…}; Expected type 'JSON'. it contains a number that is infinite or too large",
        "payload",
    )
