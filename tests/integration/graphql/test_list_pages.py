"""Pages of tasks: where each begins and ends, which cursors and arguments are refused, and how text is looked for."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from accounts.identity import Identity
from tasks import listing
from tests.integration.graphql.making import data, make_task, refusal
from tests.integration.graphql.paging import PAGE, page, walk
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db


# --- pages ---------------------------------------------------------------------------------------------------------


def test_a_page_says_where_it_begins_and_ends(user: Identity):
    made = [str(make_task().pk) for _ in range(3)]

    first = page(user, first=2)
    second = page(user, first=2, after=first["pageInfo"]["endCursor"])

    assert [edge["node"]["id"] for edge in first["edges"]] == [made[2], made[1]]
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][1]["cursor"],
    }
    assert [edge["node"]["id"] for edge in second["edges"]] == [made[0]]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


def test_a_page_of_nothing_has_no_cursors(user: Identity):
    nothing = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}

    assert page(user) == {"edges": [], "nodes": [], "pageInfo": nothing}
    make_task()
    assert page(user, first=0)["pageInfo"] == nothing


def test_what_is_created_meanwhile_shifts_nothing(user: Identity):
    made = [str(make_task().pk) for _ in range(4)]
    first = page(user, first=2)
    make_task()

    second = page(user, first=2, after=first["pageInfo"]["endCursor"])

    assert [node["id"] for node in second["nodes"]] == [made[1], made[0]]


def _encoded(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage",
        "ÿ",
        _encoded("OLDEST", ID_OF_NOTHING),
        _encoded("NEWEST"),
        _encoded("NEWEST", "no id"),
        _encoded("NEWEST", 5),
        _encoded("NEWEST", ID_OF_NOTHING, 1),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(user: Identity, cursor: str):
    make_task()

    assert refusal(PAGE, user, after=cursor) == ("BAD_USER_INPUT", "after")


@pytest.mark.parametrize(
    ("order", "values"),
    [
        ("PRIORITY", [5, 2**63, str(UUID(int=1))]),
        ("PRIORITY", [True, 1, str(UUID(int=1))]),
        ("PRIORITY", ["5", 1, str(UUID(int=1))]),
        ("UPDATED", ["2030-01-01T00:00:00", str(UUID(int=1))]),
        ("UPDATED", [7, str(UUID(int=1))]),
        ("UPDATED", ["0001-01-01T00:00:00+23:00", str(UUID(int=1))]),
        ("UPDATED", ["9999-12-31T23:59:59-23:00", str(UUID(int=1))]),
    ],
)
def test_a_cursor_with_wrong_values_is_refused(user: Identity, order: str, values: list[Any]):
    assert refusal(PAGE, user, order=order, after=_encoded(order, *values)) == ("BAD_USER_INPUT", "after")


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"first": 1001}, "first"),
        ({"first": -1}, "first"),
        ({"filter": {"ids": ["x"] * 1001}}, "filter.ids"),
        ({"filter": {"status": "SLEEPING"}}, "filter.status"),
        ({"filter": {"size": 1}}, "filter.size"),
    ],
)
def test_a_bad_argument_is_named(user: Identity, variables: dict[str, Any], field: str):
    assert refusal(PAGE, user, **variables) == ("BAD_USER_INPUT", field)


# --- text ----------------------------------------------------------------------------------------------------------


def test_text_is_looked_for_in_a_bounded_number_and_the_page_says_where_to_go_on(
    user: Identity, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "SEARCHED", 4)
    monkeypatch.setattr(listing, "SEARCHED_AT_ONCE", 2)
    oldest = str(make_task(title="A needle").pk)
    hay = [str(make_task(title="Hay").pk) for _ in range(5)]

    first = page(user, filter={"search": "needle"})
    second = page(user, filter={"search": "needle"}, after=first["pageInfo"]["endCursor"])

    assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([], True)
    assert [node["id"] for node in second["nodes"]] == [oldest]
    assert second["pageInfo"]["hasNextPage"] is False
    assert data('{ tasks(search: "needle") { id } }', user)["tasks"] == []
    assert data('{ tasks(search: "hay") { id } }', user)["tasks"] == [{"id": id_} for id_ in reversed(hay[1:])]
    assert walk(user, 1, filter={"search": "needle"}, order="PRIORITY") == []


def test_an_id_is_found_however_old_its_task_is(user: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "SEARCHED", 2)
    monkeypatch.setattr(listing, "SEARCHED_AT_ONCE", 2)
    oldest = make_task(title="A needle")
    for _ in range(3):
        make_task(title="Hay")

    assert walk(user, 10, filter={"search": str(oldest.pk)}) == [str(oldest.pk)]


@pytest.mark.parametrize("text", ["Straße", "50% off", "a_b", "back\\slash", "🚀 launch", "it's"])
def test_text_is_taken_as_it_is(user: Identity, text: str):
    task = make_task(title=f"One {text} two")
    make_task(title="Another", description=f"of {text}")
    make_task(title="50 off a b")

    assert len(walk(user, 10, filter={"search": text})) == 2
    assert walk(user, 10, filter={"search": f"one {text}"}) == [str(task.pk)]
