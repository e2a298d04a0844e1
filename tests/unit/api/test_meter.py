"""What an answer may come to: bytes and fields are counted as it grows, and it is ended in time."""

from __future__ import annotations

import json
from typing import Any

import graphene
import pytest

from dtq_site.api.costs import Price, declare_prices
from dtq_site.api.engine import Answer, Engine, GraphQLRequest
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.meter import OVERRUN, Meter, Outgrown
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.api.small_schema import CONTEXT, UNLIMITED, changes, make_engine

ECHO = "query ($v: JSON) { a: json(value: $v) b: json(value: $v) }"


def answer(query: str, variables: dict[str, Any] | None = None, **limits: int) -> Answer:
    engine, _ = make_engine(**limits)
    return engine.answer(GraphQLRequest(query, variables or {}), CONTEXT)


def refusal(answer: Answer) -> tuple[str, dict[str, Any]]:
    assert "data" not in answer.body
    (error,) = answer.body["errors"]
    assert answer.refused == error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    return error["message"], error["extensions"]


@pytest.mark.parametrize(
    "value", ["x" * 1000, "é" * 500, "😀" * 250, '"' * 500, "\n" * 500, ["x" * 100] * 10, {"k" * 500: "v" * 500}]
)
def test_the_bytes_of_an_answer_have_a_bound_whatever_it_is_made_of(value: Any):
    size = len(json.dumps({"a": value, "b": value}, ensure_ascii=False, separators=(",", ":")).encode())

    assert answer(ECHO, {"v": value}, max_answer_bytes=size).body == {"data": {"a": value, "b": value}}
    message, extensions = refusal(answer(ECHO, {"v": value}, max_answer_bytes=size - 100))
    assert message.startswith(f"The answer would take more than {size - 100:,} bytes. Ask for fewer items at once")
    assert extensions["limit"] == size - 100


def test_long_names_for_fields_take_bytes_too():
    name = "a" * 1000

    assert answer(f"{{ {name}: __typename }}", max_answer_bytes=1100).refused is None
    assert answer(f"{{ {name}: __typename }}", max_answer_bytes=1000).refused == "QUERY_TOO_COMPLEX"


def test_a_subscriber_is_refused_a_large_answer_like_anybody_else():
    engine, _ = make_engine(max_answer_bytes=1000)

    opened = engine.open(GraphQLRequest(ECHO, {"v": "x" * 600}), CONTEXT)

    assert isinstance(opened, Answer) and opened.refused == "QUERY_TOO_COMPLEX"


def test_a_mutation_whose_answer_is_too_large_says_that_it_may_have_been_done():
    message, _ = refusal(answer("mutation { a: change b: change }", max_answer_bytes=12))

    assert message.endswith("What was to be changed may have been: look before you repeat it.")
    assert changes == [1]  # the second was not begun


def test_a_mutation_with_long_names_is_refused_before_anything_is_changed():
    message, _ = refusal(answer(f"mutation {{ {'a' * 100}: change }}", max_answer_bytes=100))

    assert message.endswith("such as payload, result or logs.")
    assert changes == []


def test_each_execution_is_counted_from_nothing():
    engine, _ = make_engine(max_answer_bytes=1000)

    for _ in range(3):
        assert engine.answer(GraphQLRequest(ECHO, {"v": "x" * 300}), CONTEXT).refused is None


# --- lists that are longer than their estimates ------------------------------------------------------------------------


def engine_with_lists(length: int, max_cost: int) -> tuple[Engine, list[int]]:
    """An engine over lists of that length within each other, estimated at 2 items; and a list that counts what is resolved."""
    resolved: list[int] = []

    def resolve(_root: Any, _info: Any) -> list[int]:
        resolved.append(1)
        return [0] * length

    class Item(graphene.ObjectType):
        """An item of a list, which has a list."""

        items = graphene.List(lambda: Item, resolver=resolve)

    class Query(graphene.ObjectType):
        """A list of which nobody can tell the length."""

        items = graphene.List(Item, resolver=resolve)

    schema = graphene.Schema(query=Query).graphql_schema
    declare_prices(schema, {"Query.items": Price(items=2), "Item.items": Price(items=2)})
    reporter = ErrorReporter(Faults(Observer(Recorder()), lambda: "error-id"))
    return Engine(schema, ApiOptions(max_cost=max_cost), reporter, UNLIMITED), resolved


def test_lists_that_turn_out_longer_than_estimated_end_the_execution():
    request = GraphQLRequest("{ items { items { __typename } } }")
    small, _ = engine_with_lists(3, max_cost=10)
    large, resolved = engine_with_lists(1000, max_cost=10)

    assert small.answer(request, CONTEXT).refused is None
    message, _ = refusal(large.answer(request, CONTEXT))
    assert message.startswith(f"The lists that it asks for are long: the operation comes to more than {10 * OVERRUN} ")
    assert len(resolved) == 2


def test_the_work_that_each_item_takes_counts_like_fields():
    request = GraphQLRequest("{ items { __typename } }")

    def refused(length: int) -> str | None:
        engine, _ = engine_with_lists(length, max_cost=25)
        declare_prices(engine.schema, {"Query.items": Price(items=2, points_per_item=9)})
        return engine.answer(request, CONTEXT).refused

    assert refused(9) is None  # 1 + 9 x (1 + 9) of 4 x 25
    assert refused(10) == "QUERY_TOO_COMPLEX"


# --- before it is read --------------------------------------------------------------------------------------------------


def test_what_is_foreseen_to_be_too_much_ends_the_execution():
    meter = Meter(max_fields=10, max_bytes=100)
    meter.add(4, 40)

    meter.foresee(items=6, size=60)
    for more in ({"items": 7}, {"size": 61}):
        with pytest.raises(Outgrown):
            meter.foresee(**more)
    assert (meter.room, meter.fields_left) == (60, 6)
