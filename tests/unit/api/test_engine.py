"""What the engine runs, refuses and keeps."""

from __future__ import annotations

import pytest

from dtq_site.api import documents
from dtq_site.api.engine import Answer, Engine, GraphQLRequest
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.errors import RateLimited
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer
from tests.unit.api.small_schema import CONTEXT, changes, make_engine, schema


def test_a_mutation_runs_where_changes_are_allowed():
    engine, _ = make_engine()

    assert engine.answer(GraphQLRequest("mutation { change }"), CONTEXT) == Answer({"data": {"change": 1}})
    assert changes == [1]


def test_a_mutation_is_refused_where_they_are_not():
    engine, _ = make_engine()

    answer = engine.answer(GraphQLRequest("mutation { change }"), CONTEXT, may_change=False)

    assert answer.refused == "METHOD_NOT_ALLOWED"
    assert answer.body["errors"][0]["message"] == "Send a mutation with POST; GET is for queries."
    assert changes == []


def test_the_named_operation_decides_and_not_its_neighbours():
    engine, _ = make_engine()
    document = "mutation M { change } query Q { __typename }"

    answer = engine.answer(GraphQLRequest(document, operation_name="Q"), CONTEXT, may_change=False)

    assert answer == Answer({"data": {"__typename": "Query"}})
    assert changes == []


def test_several_operations_need_a_name():
    engine, _ = make_engine()

    answer = engine.answer(GraphQLRequest("mutation A { change } mutation B { change }"), CONTEXT)

    assert answer.body["errors"][0]["message"] == "Must provide operation name if query contains multiple operations."
    assert (answer.refused, changes) == ("BAD_USER_INPUT", [])


def test_a_subscription_is_sent_to_the_socket():
    engine, _ = make_engine()

    answer = engine.answer(GraphQLRequest("subscription { ticks }"), CONTEXT)

    assert answer.refused == "BAD_USER_INPUT"
    assert "WebSocket" in answer.body["errors"][0]["message"]


def test_a_request_of_which_a_field_fails_was_not_refused():
    engine, _ = make_engine()

    assert engine.answer(GraphQLRequest("{ conflict }"), CONTEXT).refused is None
    assert engine.answer(GraphQLRequest("{ needed }"), CONTEXT).refused is None


def test_unknown_variables_are_ignored():
    engine, _ = make_engine()

    assert engine.answer(GraphQLRequest("{ __typename }", {"more": 1}), CONTEXT).refused is None


def test_a_valid_document_is_parsed_once_and_its_variables_are_not_kept(monkeypatch: pytest.MonkeyPatch):
    engine, _ = make_engine()
    parsed = _count_parsing(monkeypatch)
    query = "query ($t: String!) { must(text: $t) }"

    bodies = [engine.answer(GraphQLRequest(query, {"t": text}), CONTEXT).body for text in ("a", "b")]

    assert bodies == [{"data": {"must": "a"}}, {"data": {"must": "b"}}]
    assert parsed == [query]


def test_a_wrong_document_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    engine, _ = make_engine()
    parsed = _count_parsing(monkeypatch)

    answers = [engine.answer(GraphQLRequest("{ nope }"), CONTEXT) for _ in range(2)]

    assert answers[0] == answers[1]
    assert len(parsed) == 2


def test_the_number_and_the_length_of_kept_documents_are_bounded(monkeypatch: pytest.MonkeyPatch):
    engine, _ = make_engine(cached_documents=1, cached_document_length=20)
    parsed = _count_parsing(monkeypatch)
    long = "{ __typename   # long\n}"

    for query in ("{ a: __typename }", "{ b: __typename }", "{ a: __typename }", long, long):
        assert engine.answer(GraphQLRequest(query), CONTEXT).refused is None

    assert len(parsed) == 5


def _count_parsing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    parsed: list[str] = []
    original = documents.parse

    def counting(text: str, **limits: int) -> object:
        parsed.append(text)
        return original(text, **limits)

    monkeypatch.setattr(documents, "parse", counting)
    return parsed


# --- the rate -----------------------------------------------------------------------------------------------------------


class Permits:
    """Stands for the limits of the rate: so many permits are there."""

    def __init__(self, there: int) -> None:
        self.there = there
        self.taken: list[int] = []

    def refuse_exhausted(self, _context: object) -> None:
        if self.there <= 0:
            raise RateLimited(retry_after_seconds=2.5)

    def take(self, _context: object, permits: int) -> None:
        self.taken.append(permits)
        self.there -= permits
        if self.there < 0:
            raise RateLimited(retry_after_seconds=1.5)


def limited_engine(there: int) -> tuple[Engine, Permits]:
    permits = Permits(there)
    options = ApiOptions(cost_per_request=3, max_cost=10)
    return Engine(schema, options, ErrorReporter(Faults(Observer(), lambda: "id")), permits), permits


@pytest.mark.parametrize(
    ("query", "permits"),
    [
        ("{ __typename }", 1),
        ("{ a: who b: who c: who }", 1),
        ("{ a: who b: who c: who d: who }", 2),
        ("mutation { change }", 1),
        ("{ nope }", 1),
        ("{", 1),
        ("{" + " who" * 11 + " }", 1),
        ("query A { who } query B { who }", 1),
    ],
)
def test_every_request_takes_permits_by_its_cost_refused_ones_too(query: str, permits: int):
    engine, limits = limited_engine(10)

    engine.answer(GraphQLRequest(query), CONTEXT)

    assert limits.taken == [permits]


def test_a_request_without_a_permit_is_refused_and_changes_nothing():
    engine, _ = limited_engine(1)
    assert engine.answer(GraphQLRequest("mutation { a: change b: change c: change d: change }"), CONTEXT) == Answer(
        {
            "errors": [
                {
                    "message": "Too many requests: wait and try again.",
                    "extensions": {"code": "RATE_LIMITED", "retryAfter": 1.5},
                }
            ]
        },
        refused="RATE_LIMITED",
    )
    assert changes == []


def test_who_is_exhausted_is_refused_before_the_document_is_read(monkeypatch: pytest.MonkeyPatch):
    engine, limits = limited_engine(0)
    parsed = _count_parsing(monkeypatch)

    answer = engine.answer(GraphQLRequest("{ who }"), CONTEXT)

    assert answer.body["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 2.5}
    assert (parsed, limits.taken) == ([], [])


@pytest.mark.parametrize(
    ("variables", "alike"),
    [({"on": "ON", "n": 1}, True), ({"on": "ON"}, True), ({"on": "OFF", "n": 1}, False)],
)
def test_subscriptions_are_alike_by_their_text_and_the_variables_that_it_declares(variables: dict, alike: bool):
    engine, _ = make_engine()
    text = "subscription ($on: Strict) { ticks(strict: $on) }"

    keys = [
        engine.open(GraphQLRequest(text, given), CONTEXT).key for given in ({"on": "ON", "undeclared": 7}, variables)
    ]

    assert (keys[0] == keys[1]) is alike
