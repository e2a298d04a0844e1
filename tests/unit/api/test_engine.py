"""What the engine runs, refuses and keeps."""

from __future__ import annotations

import pytest

from dtq_site.api import documents
from dtq_site.api.engine import Answer, GraphQLRequest
from tests.unit.api.small_schema import CONTEXT, changes, make_engine


@pytest.fixture(autouse=True)
def no_changes() -> None:
    """Forget what the mutations of other tests did."""
    changes.clear()


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
