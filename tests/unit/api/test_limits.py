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
