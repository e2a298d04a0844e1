"""tasks: what is listed, and in which order."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tasks import lifecycle
from tasks.models import Task
from tests.integration.graphql.making import data, make_task, refusal
from tests.integration.graphql.reading import names

pytestmark = pytest.mark.django_db


@pytest.fixture
def five(user: Identity) -> list[Task]:
    """Tasks a to e, created in that order."""
    made = [
        make_task(name="a", priority=1, title="First Aid 50% off"),
        make_task(name="b", priority=20, queue="mail"),
        make_task(name="c", delay_seconds=60, title="aid_for_c"),
        make_task(name="d", priority=20),
        make_task(name="e-mail", queue="mail"),
    ]
    lifecycle.cancel(made[0].pk, database_clock.now())
    return made


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["e-mail", "d", "c", "b", "a"]),
        ("(orderBy: NEWEST)", ["e-mail", "d", "c", "b", "a"]),
        ("(orderBy: OLDEST)", ["a", "b", "c", "d", "e-mail"]),
        ("(orderBy: PRIORITY)", ["b", "d", "e-mail", "c", "a"]),
        ("(orderBy: UPDATED)", ["a", "e-mail", "d", "c", "b"]),
        ("(limit: 2)", ["e-mail", "d"]),
        ("(limit: 2, offset: 3)", ["b", "a"]),
        ("(limit: 0)", []),
        ("(offset: 5)", []),
        ("(limit: null, offset: null, orderBy: null, status: null, search: null)", ["e-mail", "d", "c", "b", "a"]),
        ("(status: PENDING)", ["c"]),
        ("(status: pending)", ["c"]),
        ('(status: "Pending")', ["c"]),
        ("(status: DEAD_LETTER)", []),
        ('(name: "d")', ["d"]),
        ('(name: "D")', []),
        ('(queue: "mail")', ["e-mail", "b"]),
        ('(queue: "nowhere")', []),
        ("(priority: CRITICAL)", ["d", "b"]),
        ('(priority: "20")', ["d", "b"]),
        ("(priority: 1)", ["a"]),
        ('(queue: "mail", priority: 20, status: QUEUED)', ["b"]),
        ('(search: "MAIL")', ["e-mail"]),
        ('(search: "aid")', ["c", "a"]),
        ('(search: "50%")', ["a"]),
        ('(search: "%")', ["a"]),
        ('(search: "_")', ["c"]),
        ('(search: "\\\\")', []),
        ('(search: "\\u0000")', []),
        ('(search: "")', ["e-mail", "d", "c", "b", "a"]),
    ],
)
def test_lists_are_filtered_and_ordered(user: Identity, arguments: str, expected: list[str]):
    assert names(arguments, user) == expected


@pytest.mark.parametrize("length", [8, 9, 13, 15, 23, 24, 36])
def test_an_id_is_found_by_its_beginning(user: Identity, length: int):
    task = make_task()

    query = "query ($text: String) { tasks(search: $text) { id } }"
    assert data(query, user, text=str(task.pk)[:length].upper()) == {"tasks": [{"id": str(task.pk)}]}
    assert data(query, user, text=str(uuid4())[:length]) == {"tasks": []}
    assert data(query, user, text="f" * 8 + str(task.pk)[8:length]) == {"tasks": []}


def test_a_span_of_time_takes_its_beginning_and_not_its_end(user: Identity, five: list[Task]):
    query = "query ($a: DateTime, $b: DateTime) { tasks(createdAfter: $a, createdBefore: $b) { name } }"
    span = {"a": DateTime.serialize(five[1].created_at), "b": DateTime.serialize(five[3].created_at)}

    assert data(query, user, **span) == {"tasks": [{"name": "c"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("(limit: 1001)", "limit"),
        ("(limit: -1)", "limit"),
        ("(offset: -1)", "offset"),
        ("(status: SLEEPING)", "status"),
        ("(orderBy: SIZE)", "orderBy"),
        ("(priority: 101)", "priority"),
        ('(createdAfter: "yesterday")', "createdAfter"),
    ],
)
def test_a_bad_argument_is_named(user: Identity, arguments: str, field: str):
    assert refusal(f"{{ tasks{arguments} {{ id }} }}", user) == ("BAD_USER_INPUT", field)


def test_a_list_has_fifty_unless_more_are_asked_for(user: Identity):
    from accounts.models import Team

    team = Team.objects.get(pk=user.team_id)
    for _ in range(51):
        make_task(team.name)

    assert len(names("", user)) == 50
    assert len(names("(limit: 1000)", user)) == 51
