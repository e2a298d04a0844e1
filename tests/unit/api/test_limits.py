"""How large a document may be: exact bounds, whichever way it is written."""

from __future__ import annotations

from typing import Any

import pytest

from dtq_site.api.engine import GraphQLRequest
from dtq_site.foundation.clock import elapsed_clock
from tests.unit.api.small_schema import CONTEXT, make_engine


def run(query: str, **limits: int) -> dict[str, Any]:
    engine, _ = make_engine(**limits)
    return engine.answer(GraphQLRequest(query), CONTEXT).body


def refusal(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}]}


def nested(levels: int) -> str:
    return "{ node " * (levels - 1) + "{ __typename value }" + " }" * (levels - 1)


def test_depth_counts_levels_of_fields():
    assert "errors" not in run(nested(5), max_depth=5)
    assert run(nested(6), max_depth=5) == refusal("The document has 6 levels of nested fields; at most 5 are allowed.")


def test_depth_counts_through_fragments_and_not_the_fragments_themselves():
    query = "{ node { ...A } } fragment A on Node { node { ... on Node { node { value } } } }"

    assert run(query, max_depth=4) == {"data": {"node": {"node": {"node": {"value": 1}}}}}
    assert run(query, max_depth=3) == refusal("The document has 4 levels of nested fields; at most 3 are allowed.")


def test_introspection_may_nest_deeper():
    query = "{ __schema { queryType { fields { type { ofType { ofType { name } } } } } } }"

    assert "errors" not in run(query, max_depth=3)


def test_fields_count_where_they_are_put():
    query = "{ a: node { ...F } b: node { ...F } } fragment F on Node { value node { value } }"

    assert "errors" not in run(query, max_fields=8)
    assert run(query, max_fields=7) == refusal("The document has 8 fields; at most 7 are allowed.")


def test_fields_of_fragments_that_nothing_spreads_count_too():
    query = "{ __typename } fragment F on Node { value node { value } }"

    assert run(query, max_fields=3) == refusal("The document has 4 fields; at most 3 are allowed.")


def test_aliases_count_where_they_are_put():
    query = "{ a: __typename b: node { ...F } node { ...F } } fragment F on Node { v: value }"

    assert "errors" not in run(query, max_aliases=4)
    assert run(query, max_aliases=3) == refusal("The document has 4 aliases; at most 3 are allowed.")


def test_fragments_that_double_each_time_are_refused_at_once():
    fragments = " ".join(f"fragment F{n} on Node {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    query = f"{{ node {{ ...F0 }} }} {fragments} fragment F60 on Node {{ value }}"

    body = run(query)

    assert body == refusal(f"The document has {2**60 + 1:,} fields; at most 500 are allowed.")


def test_a_long_chain_of_fragments_is_refused():
    fragments = " ".join(f"fragment F{n} on Node {{ ...F{n + 1} }}" for n in range(1000))
    query = f"{{ node {{ ...F0 }} }} {fragments} fragment F1000 on Node {{ value }}"

    assert run(query) == refusal("The document's fragments are nested too deeply.")


def test_fragments_in_a_circle_are_told_by_validation():
    body = run("{ node { ...A } } fragment A on Node { value ...B } fragment B on Node { value ...A }")

    assert [error["message"] for error in body["errors"]] == ["Cannot spread fragment 'A' within itself via 'B'."]
    assert body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("query", ["{ __typename }", "# a comment\n{ __typename }"])
def test_tokens_and_comments_have_a_bound(query: str):
    assert "errors" not in run(query, max_tokens=3)

    body = run(query.replace("{", "# x\n# x\n# x\n# x\n{"), max_tokens=3)

    assert body == refusal("Document contains more than 3 comments. Parsing aborted.")


def test_too_many_tokens_are_refused_before_they_are_all_read():
    assert run("{" + " __typename" * 200_000 + "}") == refusal(
        "Document contains more than 10000 tokens. Parsing aborted."
    )


def test_nesting_beyond_the_parser_is_too_complex():
    assert run("{ node " * 300 + "{ value }" + " }" * 300) == refusal("Document is nested too deeply. Parsing aborted.")


def test_the_largest_document_within_the_limits_is_answered_soon():
    began = elapsed_clock()

    run("{" + " __typename" * 500 + "}")

    assert elapsed_clock() - began < 5


def test_variables_have_a_bound_in_bytes_of_json():
    engine, _ = make_engine(max_variables_bytes=20)
    query = "query ($v: JSON) { json(value: $v) }"

    def answer(text: str) -> dict[str, Any]:
        return engine.answer(GraphQLRequest(query, {"v": text}), CONTEXT).body

    assert answer("é" * 6) == {"data": {"json": "é" * 6}}  # {"v":"…"} and six times two bytes
    assert answer("é" * 6 + "x") == {
        "errors": [
            {
                "message": "The variables take 21 bytes as JSON; at most 20 are allowed.",
                "extensions": {"code": "PAYLOAD_TOO_LARGE", "field": "variables"},
            }
        ]
    }


def test_an_operation_has_a_bound_of_cost_and_the_refusal_names_both():
    query = "{ node { value node { value } } }"

    assert "errors" not in run(query, max_cost=4)
    assert run(query, max_cost=3) == {
        "errors": [
            {
                "message": "The operation costs 4 points; at most 3 are allowed. Ask for fewer items or fields.",
                "extensions": {"code": "QUERY_TOO_COMPLEX", "cost": 4, "limit": 3},
            }
        ]
    }


def test_only_the_operation_that_is_run_costs():
    query = "query A { __typename } query B { node { value node { value } } }"
    engine, _ = make_engine(max_cost=3)

    assert engine.answer(GraphQLRequest(query, operation_name="A"), CONTEXT).refused is None
    assert engine.answer(GraphQLRequest(query, operation_name="B"), CONTEXT).refused == "QUERY_TOO_COMPLEX"


# --- introspection ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["{ __schema { queryType { name } } }", '{ __type(name: "Query") { name } }'])
def test_introspection_can_be_switched_off(query: str):
    assert "errors" not in run(query)

    errors = run(query, introspection=False)["errors"]

    assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}
    assert errors[0]["message"].startswith("GraphQL introspection has been disabled")


def test_without_introspection_the_name_of_a_type_can_still_be_asked_for():
    assert run("{ __typename node { __typename } }", introspection=False) == {
        "data": {"__typename": "Query", "node": {"__typename": "Node"}}
    }


@pytest.mark.parametrize(
    ("query", "variables"),
    [("{ nod }", {}), ("query ($s: Strict) { echo(strict: $s) }", {"s": "OFFF"}), ("{ echo(input: {nam: 1}) }", {})],
)
def test_without_introspection_no_message_suggests_a_name(query: str, variables: dict[str, Any]):
    def messages(introspection: bool) -> str:
        engine, _ = make_engine(introspection=introspection)
        return str(engine.answer(GraphQLRequest(query, variables), CONTEXT).body)

    assert "Did you mean" in messages(True)
    assert "Did you mean" not in messages(False)


def test_without_introspection_no_subscription_suggests_a_name_either():
    request = GraphQLRequest("subscription ($s: Strict) { ticks(strict: $s) }", {"s": "OFFF"})

    def messages(introspection: bool) -> str:
        engine, _ = make_engine(introspection=introspection)
        return str(engine.open(request, CONTEXT).body)

    assert "Did you mean" in messages(True)
    assert "Did you mean" not in messages(False)
