"""What an operation costs: a point for every field that it resolves, those in lists once an item."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema, get_operation_ast, parse

from dtq_site.api.costs import Price, cost_of, declare_prices, price_of

SCHEMA = build_schema("""
    type Query {
        one: Task
        tasks(limit: Int = 50): [Task!]!
        page(first: Int): Page!
        all: [Task!]!
        stats: Int!
        found(limit: Int = 50, offset: Int = 0, text: String, filter: Filter): [Task!]!
    }
    input Filter { text: String error: String size: Int }
    type Page { edges: [Edge!]! total: Int! }
    type Edge { cursor: String! node: Task! }
    type Task { id: ID! title: String! tags: [String!]! logs: [Log!]! parent: Task }
    type Log { message: String! level: String! }
    type Mutation { create(inputs: [Input!]!): [Task!]! touch(ids: [ID!]): Int! drop(ids: [ID!]!): [ID!]! }
    input Input { name: String }
""")
declare_prices(
    SCHEMA,
    {
        "Query.tasks": Price(sized_by="limit", most=1000),
        "Query.page": Price(items=30, sized_by="first", most=1000),
        "Query.stats": Price(points=100),
        "Query.found": Price(
            sized_by="limit",
            most=1000,
            offset_by="offset",
            texts=("text", "filter.text", "filter.error"),
            points_per_text=300,
        ),
        "Task.logs": Price(items=20),
        "Mutation.create": Price(points=10, points_per_item=5, sized_by="inputs", most=100),
        "Mutation.touch": Price(points=10, points_per_item=2, items=0, sized_by="ids", most=100),
        "Mutation.drop": Price(points=10, points_per_item=2, sized_by="ids", most=100),
    },
)


def cost(text: str, **variables: Any) -> int:
    document = parse(text)
    operation = get_operation_ast(document, variables.pop("operation", None))
    assert operation is not None
    return cost_of(SCHEMA, document, operation).of(variables)


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("{ one { id title tags } }", 4),
        ("{ stats }", 100),
        ("{ stats one { id } }", 102),
        ("{ one { parent { parent { id } } } }", 4),
        ("{ tasks(limit: 10) { id title } }", 1 + 10 * 2),
        ("{ tasks { id } }", 1 + 50),
        ("{ tasks(limit: null) { id } }", 1 + 50),
        ("{ tasks(limit: 0) { id } }", 1),
        ("{ tasks(limit: -5) { id } }", 1),
        ("{ tasks(limit: 2000000000) { id } }", 1 + 1000),
        ("{ all { id } }", 1 + 10 * 1),
        ("{ one { logs { message level } } }", 1 + 1 + 20 * 2),
        ("{ tasks(limit: 10) { logs { message } } }", 1 + 10 * (1 + 20)),
        ("{ page(first: 7) { total edges { cursor node { id } } } }", 1 + 1 + 1 + 7 * 3),
        ("{ page { edges { cursor } } }", 1 + 1 + 30),
        ("{ a: stats b: stats }", 200),
        ("{ __typename __schema { types { fields { name } } } }", 1 + 5_000),
        ('{ __type(name: "Query") { name } }', 500),
    ],
)
def test_a_query_costs_what_it_resolves(query: str, points: int):
    assert cost(query) == points


def test_a_length_may_come_in_a_variable():
    query = "query ($n: Int, $m: Int = 3) { tasks(limit: $n) { id title } page(first: $m) { edges { cursor } } }"

    assert cost(query) == (1 + 50 * 2) + (1 + 1 + 3)
    assert cost(query, n=10, m=5) == (1 + 10 * 2) + (1 + 1 + 5)
    assert cost(query, n=None, m=None) == (1 + 50 * 2) + (1 + 1 + 3)
    assert cost(query, n=10.0, m=5.0) == cost(query, n=10, m=5)
    assert cost(query, n=5000, m=-1) == (1 + 1000 * 2) + (1 + 1)


@pytest.mark.parametrize("value", ["7", True, {}, float("inf")])
def test_a_variable_that_is_no_length_counts_as_left_out(value: Any):
    assert cost("query ($n: Int) { tasks(limit: $n) { id } }", n=value) == 1 + 50


def test_lists_in_lists_multiply_with_variables_too():
    query = "query ($n: Int) { tasks(limit: $n) { id logs { message } } }"

    assert cost(query, n=3) == 1 + 3 * (1 + 1 + 20)


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        ("limit: 1", 0),
        ("limit: 1, offset: 70", 70),
        ("limit: 1, offset: 2147483647", 2_147_483_647),
        ("limit: 1, offset: -1", 0),
        ("limit: 1, offset: null", 0),
        ('limit: 1, text: "a"', 300),
        ('limit: 1, text: ""', 0),
        ("limit: 1, text: null", 0),
        ('limit: 1, filter: { text: "a" }', 300),
        ('limit: 1, text: "a", filter: { error: "b", text: "c", size: 1 }', 900),
        ("limit: 1, filter: null", 0),
    ],
)
def test_what_is_passed_over_and_looked_for_costs_too(arguments: str, points: int):
    assert cost(f"{{ found({arguments}) {{ id }} }}") == 1 + 1 + points


def test_what_is_passed_over_and_looked_for_may_come_in_variables():
    query = """query ($o: Int = 5, $t: String = "a", $e: String, $f: Filter = {error: "b"}) {
        a: found(limit: 1, offset: $o, text: $t, filter: $f) { id }
        b: found(limit: 1, filter: { error: $e }) { id }
    }"""

    assert cost(query) == 4 + 5 + 300 + 300
    assert cost(query, o=70, t="", e="", f={}) == 4 + 70
    assert cost(query, o=0, t=None, e=None, f=None) == 4
    assert cost(query, o=0, t=None, e="b", f={"text": "a", "error": "b"}) == 4 + 900
    assert cost(query, o=0, t=None, f="no filter") == 4


def test_a_list_that_is_created_is_as_long_as_its_inputs():
    assert cost("mutation { create(inputs: [{}, {}]) { id } }") == 10 + 2 * (5 + 1)
    assert cost("mutation { create(inputs: {}) { id } }") == 10 + (5 + 1)
    query = "mutation ($i: [Input!]!) { create(inputs: $i) { id } }"
    assert cost(query, i=[{}] * 7) == 10 + 7 * (5 + 1)
    assert cost(query, i=[{}] * 5000) == 10 + 100 * (5 + 1)


@pytest.mark.parametrize("field", ["touch", "drop"])
def test_what_is_done_with_each_item_counts_where_nothing_is_selected_of_it_too(field: str):
    assert cost(f'mutation {{ {field}(ids: ["a", "b"]) }}') == 10 + 2 * 2
    assert cost(f"mutation ($ids: [ID!]!) {{ a: {field}(ids: $ids) b: {field}(ids: $ids) }}", ids=["a"] * 7) == 48
    assert cost(f"mutation ($ids: [ID!]!) {{ {field}(ids: $ids) }}", ids=["a"] * 5000) == 10 + 100 * 2


def test_a_list_of_inputs_that_is_left_out_counts_as_what_is_usual():
    assert cost("mutation { touch }") == 10


def test_fragments_count_where_they_are_spread():
    query = "{ tasks(limit: 2) { ...F } one { ...F ... on Task { title } } } fragment F on Task { id logs { level } }"

    assert cost(query) == 1 + 2 * (1 + 1 + 20) + 1 + (1 + 1 + 20) + 1


def test_fields_that_may_be_left_out_count():
    assert cost("query ($x: Boolean!) { stats @skip(if: $x) one @include(if: $x) { id } }", x=True) == 102


def test_each_operation_of_a_document_has_a_cost_of_its_own():
    document = "query A { stats } query B { one { ...F } } fragment F on Task { id }"

    assert cost(document, operation="A") == 100
    assert cost(document, operation="B") == 2


def test_a_price_is_for_a_field_that_there_is():
    assert price_of(SCHEMA.type_map["Task"].fields["logs"]) == Price(items=20)
    assert price_of(SCHEMA.type_map["Task"].fields["id"]) is None
    with pytest.raises(KeyError):
        declare_prices(SCHEMA, {"Task.nothing": Price()})
