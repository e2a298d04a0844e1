"""How large a document may be: exact bounds, whichever way it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import GraphQLRequest
from dtq_site.foundation.clock import elapsed_clock
from tests.unit.api.small_schema import CONTEXT, make_engine

SIGNED_IN = replace(CONTEXT, identity=Identity(UUID(int=1), "ann", Role.USER, UUID(int=2)))


def run(query: str, **limits: int) -> dict[str, Any]:
    engine, _ = make_engine(**limits)
    return engine.answer(GraphQLRequest(query), SIGNED_IN).body


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


@pytest.mark.parametrize(
    "document",
    [
        lambda n: "{" + " __typename" * n + "}",
        lambda n: "{" + " node { value }" * n + "}",
        lambda n: "{" + "".join(f" x: node {{ v{m}: value }}" for m in range(n)) + "}",
        lambda n: "{" + " node { node { value } }" * (n - 1) + " node { value } }",
        lambda n: "{ node {" + " ... on Node { value }" * n + "} }",
        lambda n: "{ node {" + "".join(f" ...F{m}" for m in range(n)) + "} }" + fragments(n),
        lambda n: "{ node {" + " value" * 5 + "".join(f" ...F{m}" for m in range(n - 5)) + "} }" + fragments(n - 5),
        lambda n: "{ __typename } fragment F on Node {" + " value" * n + " node { __typename } }",
    ],
)
def test_one_field_may_be_selected_so_many_times_in_one_place(document: Callable[[int], str]):
    within, beyond = run(document(30)), run(document(31))

    assert "QUERY_TOO_COMPLEX" not in str(within)
    (error,) = beyond["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert error["message"].endswith("is selected 31 times in one place; at most 30 are allowed.")


def fragments(count: int) -> str:
    return "".join(f" fragment F{n} on Node {{ value }}" for n in range(count))


def test_one_field_may_stand_in_many_places():
    places = "".join(f" a{n}: node {{ value __typename }}" for n in range(100))

    assert run(f"{{ {places} }}") == {"data": {f"a{n}": {"value": 1, "__typename": "Node"} for n in range(100)}}


def test_fragments_in_a_circle_that_branches_are_told_by_validation_soon():
    arms = "".join(f" a{n}: node {{ ...A }}" for n in range(40))

    body = run(f"{{ node {{ ...A }} }} fragment A on Node {{ {arms} }}")

    assert "errors" in body


def test_the_largest_document_within_the_limits_is_answered_soon():
    began = elapsed_clock()

    answered = run("{" + "".join(f" f{n // 5}: node {{ value __typename node {{ value }} }}" for n in range(100)) + "}")

    assert "errors" not in answered
    assert elapsed_clock() - began < 5


def test_who_has_not_signed_in_may_send_a_smaller_document():
    query = "{" + "".join(f" a{n}: __typename" for n in range(50)) + "}"
    engine, _ = make_engine(max_unsigned_tokens=100)

    assert engine.answer(GraphQLRequest(query), CONTEXT).body == refusal(
        "Document contains more than 100 tokens. Parsing aborted."
    )
    assert engine.answer(GraphQLRequest(query), SIGNED_IN).refused is None
    assert engine.answer(GraphQLRequest(query), CONTEXT).refused == "QUERY_TOO_COMPLEX"  # also of one that is kept


def test_a_document_that_is_all_wrong_is_given_up_after_some_errors():
    errors = run("{" + "".join(f" a{n}" for n in range(400)) + "}")["errors"]

    assert len(errors) == 21
    assert errors[19]["message"].startswith("Cannot query field 'a19' on type 'Query'.")
    assert errors[20]["message"] == "Too many validation errors, error limit reached. Validation aborted."


LISTS = "query ($in: [TaskInput!], $s: [TaskStatus!]) { echo(inputs: $in, statuses: $s) }"


@pytest.mark.parametrize(("context", "most"), [(SIGNED_IN, 12_000), (CONTEXT, 200)])
def test_lists_in_variables_have_a_bound_before_their_items_are_looked_at(context: RequestContext, most: int):
    engine, _ = make_engine()
    half = most // 2
    many = {"in": [{"name": "n"}] * half, "s": ["PENDING"] * half}

    assert engine.answer(GraphQLRequest(LISTS, many), context).refused is None
    began = elapsed_clock()
    refused = engine.answer(GraphQLRequest(LISTS, {**many, "in": [{}] * 1_000_000}), context)
    assert elapsed_clock() - began < 1
    assert refused.body == refusal(
        f"The lists in the variables have more than {most:,} items; send them in several requests."
    )
    assert engine.answer(GraphQLRequest(LISTS, {**many, "s": ["PENDING"] * (half + 1)}), context).body == refused.body


def test_what_an_object_has_too_much_counts_as_well():
    engine, _ = make_engine()
    odd = {"name": "n", **{f"more{n}": 1 for n in range(20_000)}}

    answer = engine.answer(GraphQLRequest(LISTS, {"in": [odd]}), SIGNED_IN)

    assert answer.refused == "QUERY_TOO_COMPLEX"


def test_lists_within_json_are_bounded_by_their_bytes_alone():
    engine, _ = make_engine()

    answer = engine.answer(GraphQLRequest("query ($v: JSON) { json(value: $v) }", {"v": [1] * 30_000}), CONTEXT)

    assert answer.body == {"data": {"json": [1] * 30_000}}


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
    (error,) = run(query, max_cost=3)["errors"]
    assert error["message"].startswith("The operation costs 4 points; at most 3 are allowed. Ask for fewer items")
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": 4, "limit": 3}


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
