"""What the shared scalars and lenient enums take, refuse and answer."""

from __future__ import annotations

from typing import Any

import pytest

from dtq_site.api.engine import GraphQLRequest
from dtq_site.foundation.scalars import lenient_enums
from tests.unit.api.small_schema import CONTEXT, Status, make_engine, schema

BIG = 2**70


def run(query: str, **variables: Any) -> dict[str, Any]:
    engine, _ = make_engine()
    return engine.answer(GraphQLRequest(query, variables), CONTEXT).body


def error_of(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    assert body.get("data") is None
    (error,) = body["errors"]
    return error["message"], error["extensions"]


# --- JSON ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, "ü"]}, [], "text", 0, BIG, False, {"a": {"b": {"c": BIG}}}]
)
def test_json_comes_back_as_it_went_in_through_a_variable(value: Any):
    assert run("query ($v: JSON) { json(value: $v) }", v=value) == {"data": {"json": value}}


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('{a: [1, 2.5, null, true, "ü"]}', {"a": [1, 2.5, None, True, "ü"]}),
        (str(BIG), BIG),
        (f"{{n: -{BIG}}}", {"n": -BIG}),
        ("{size: LARGE, sizes: [SMALL, large]}", {"size": "LARGE", "sizes": ["SMALL", "large"]}),
        ("false", False),
        ('""', ""),
        ("null", None),
    ],
)
def test_json_comes_back_as_it_went_in_through_a_literal(literal: str, value: Any):
    assert run(f"{{ json(value: {literal}) }}") == {"data": {"json": value}}


def test_variables_stand_inside_a_json_literal():
    query = """query ($e: String!, $n: Int, $o: JSON, $gone: String) {
        json(value: {email: $e, deep: [{n: $n}, $o, $gone], gone: $gone})
    }"""

    assert run(query, e="a@b.c", n=7, o={"x": 1}) == {
        "data": {"json": {"email": "a@b.c", "deep": [{"n": 7}, {"x": 1}, None]}}
    }


def test_typed_variables_inside_a_json_literal_stand_there_as_text():
    query = "query ($at: DateTime, $s: TaskStatus, $p: Priority) { json(value: {at: $at, s: $s, p: $p}) }"

    assert run(query, at="2030-01-31T10:00:00+01:00", s="pending", p="high") == {
        "data": {"json": {"at": "2030-01-31T09:00:00.000000Z", "s": "PENDING", "p": 10}}
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, "\ud800", {"a": {"\udfff": 1}}])
def test_what_is_no_json_is_refused_in_a_variable(value: Any):
    message, extensions = error_of(run("query ($v: JSON) { json(value: $v) }", v=value))

    assert message.startswith("Variable '$v' got invalid value ")
    assert extensions == {"code": "BAD_USER_INPUT", "field": "value"}


def test_a_number_beyond_all_bounds_is_refused_in_a_literal():
    message, extensions = error_of(run("{ json(value: {a: 1e999}) }"))

    assert "it contains a number that is infinite or too large" in message
    assert extensions == {"code": "BAD_USER_INPUT", "field": "value"}


def test_json_nested_beyond_measure_is_refused():
    value: Any = []
    for _ in range(100_000):
        value = [value]

    message, extensions = error_of(run("query ($v: JSON) { json(value: $v) }", v=value))

    assert message == "Variable values are nested too deeply."
    assert extensions == {"code": "BAD_USER_INPUT"}


# --- DateTime -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2030-01-31T09:00:00Z", "2030-01-31T09:00:00.000000Z"),
        ("2030-01-31T09:00:00", "2030-01-31T09:00:00.000000Z"),
        ("2030-01-31T10:30:00.123456+01:30", "2030-01-31T09:00:00.123456Z"),
        ("2030-01-31 09:00", "2030-01-31T09:00:00.000000Z"),
        ("2030-01-31", "2030-01-31T00:00:00.000000Z"),
        ("20300131T090000Z", "2030-01-31T09:00:00.000000Z"),
    ],
)
def test_a_moment_is_answered_in_utc_and_comes_back_the_same(written: str, moment: str):
    assert run("query ($v: DateTime) { at(value: $v) }", v=written) == {"data": {"at": moment}}
    assert run(f'{{ at(value: "{written}") }}') == {"data": {"at": moment}}
    assert run("query ($v: DateTime) { at(value: $v) }", v=moment) == {"data": {"at": moment}}


@pytest.mark.parametrize(
    "written", ["tomorrow", "", "2030-02-30", "0001-01-01T00:00:00+10:00", 1_900_000_000, True, ["x"]]
)
def test_what_is_no_moment_is_refused_with_an_example(written: Any):
    message, extensions = error_of(run("query ($v: DateTime) { at(value: $v) }", v=written))

    assert message.endswith("Write a moment in ISO 8601, such as 2030-01-31T09:00:00Z.")
    assert extensions == {"code": "BAD_USER_INPUT", "field": "value"}


@pytest.mark.parametrize("literal", ['"tomorrow"', "1900000000", "NOW", "true", '{at: "now"}'])
def test_a_literal_that_is_no_moment_is_refused_with_an_example(literal: str):
    message, extensions = error_of(run(f"{{ at(value: {literal}) }}"))

    assert message.endswith("Write a moment in ISO 8601, such as 2030-01-31T09:00:00Z.")
    assert extensions == {"code": "BAD_USER_INPUT", "field": "value"}


# --- enums --------------------------------------------------------------------------------------------------------------

DEAD = "{'status': <Status.DEAD_LETTER: 'dead_letter'>}"


@pytest.mark.parametrize("literal", ["DEAD_LETTER", "dead_letter", '"dead-letter"', '"Dead_Letter"', '"DEAD_LETTER"'])
def test_a_lenient_enum_takes_its_member_as_a_literal_in_any_case(literal: str):
    assert run(f"{{ echo(status: {literal}) }}") == {"data": {"echo": DEAD}}


@pytest.mark.parametrize("declared", ["TaskStatus", "String", "String!", "ID"])
@pytest.mark.parametrize("value", ["DEAD_LETTER", "dead_letter", "dead-letter"])
def test_a_lenient_enum_takes_its_member_in_a_variable_however_declared(declared: str, value: str):
    assert run(f"query ($s: {declared}) {{ echo(status: $s) }}", s=value) == {"data": {"echo": DEAD}}


def test_a_lenient_enum_takes_lists_and_defaults():
    query = 'query ($s: [String!], $d: String = "pending") { echo(statuses: $s, status: $d) }'

    arrived = {"status": Status.PENDING, "statuses": [Status.PENDING, Status.DEAD_LETTER]}
    assert run(query, s=["pending", "DEAD-letter"]) == {"data": {"echo": repr(arrived)}}


@pytest.mark.parametrize("literal", ['"nope"', "NOPE", "3", "true", '""'])
def test_what_is_no_member_is_refused_as_a_literal(literal: str):
    message, extensions = error_of(run(f"{{ echo(status: {literal}) }}"))

    assert "'TaskStatus' enum" in message or "Enum 'TaskStatus'" in message
    assert extensions == {"code": "BAD_USER_INPUT", "field": "status"}


@pytest.mark.parametrize("declared", ["TaskStatus", "String"])
def test_what_is_no_member_is_refused_in_a_variable(declared: str):
    message, extensions = error_of(run(f"query ($s: {declared}) {{ echo(status: $s) }}", s="pendin"))

    assert message == (
        "Variable '$s' got invalid value 'pendin'; Value 'pendin' does not exist in 'TaskStatus' enum."
        " Did you mean the enum value 'PENDING'?"
    )
    assert extensions == {"code": "BAD_USER_INPUT", "field": "status"}


def test_other_enums_stay_strict():
    assert run("{ echo(strict: ON) }") == {"data": {"echo": "{'strict': <Strict.ON: 1>}"}}

    message, extensions = error_of(run('{ echo(strict: "ON") }'))

    assert message.startswith("Enum 'Strict' cannot represent non-enum value")
    assert extensions == {"code": "BAD_USER_INPUT", "field": "strict"}


def test_an_enum_that_the_schema_does_not_have_cannot_be_made_lenient():
    with pytest.raises(KeyError, match="Stat"):
        lenient_enums(schema, "Stat")


# --- Priority -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("literal", ["10", '"10"', "HIGH", "high", '"High"'])
def test_a_priority_is_a_number_or_a_level_as_a_literal(literal: str):
    assert run(f"{{ echo(priority: {literal}) }}") == {"data": {"echo": "{'priority': 10}"}}


@pytest.mark.parametrize("declared", ["Priority", "Int", "Float", "String"])
@pytest.mark.parametrize("value", [10, 10.0, "10", "high"])
def test_a_priority_is_a_number_or_a_level_in_a_variable_however_declared(declared: str, value: Any):
    assert run(f"query ($p: {declared}) {{ echo(priority: $p) }}", p=value) == {"data": {"echo": "{'priority': 10}"}}


@pytest.mark.parametrize("value", [101, -101, 1.5, True, "urgent", "", [], {}])
def test_what_is_no_priority_is_refused_with_the_remedy(value: Any):
    message, extensions = error_of(run("query ($p: Priority) { echo(priority: $p) }", p=value))

    assert message.endswith("use a whole number from -100 to 100 or one of CRITICAL, HIGH, NORMAL, LOW")
    assert extensions == {"code": "BAD_USER_INPUT", "field": "priority"}


@pytest.mark.parametrize("literal", ["101", "1.5", "URGENT", "true", "[10]", "{p: 10}"])
def test_a_literal_that_is_no_priority_is_refused(literal: str):
    _, extensions = error_of(run(f"{{ echo(priority: {literal}) }}"))

    assert extensions == {"code": "BAD_USER_INPUT", "field": "priority"}


# --- built-in declarations ----------------------------------------------------------------------------------------------


def test_a_variable_of_two_uses_keeps_its_declaration():
    message, extensions = error_of(run("query ($s: String) { echo(status: $s, text: $s) }", s="pending"))

    assert message == "Variable '$s' of type 'String' used in position expecting type 'TaskStatus'."
    assert extensions == {"code": "BAD_USER_INPUT", "field": "status"}


def test_built_in_scalars_do_not_stand_for_one_another():
    message, _ = error_of(run("query ($n: String) { echo(number: $n) }", n="1"))

    assert message == "Variable '$n' of type 'String' used in position expecting type 'Int'."


def test_a_declaration_is_adopted_through_fragments_and_once_for_each_operation():
    query = """
        query A($s: String) { ...F }
        query B($s: TaskStatus) { ...F }
        fragment F on Query { echo(status: $s) }
    """
    engine, _ = make_engine()

    for name in ("A", "B"):
        body = engine.answer(GraphQLRequest(query, {"s": "dead-letter"}, name), CONTEXT).body
        assert body == {"data": {"echo": DEAD}}
