"""Who may do what: every operation of the schema is asked as every role of either team, and answers what the table says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from pytest_django import Settings
from redis import Redis

from accounts import registration
from accounts.identity import Identity
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Answer, GraphQLRequest
from dtq_site.endpoint import engine
from dtq_site.foundation.database import database_clock
from tasks import lifecycle, submission
from tasks.domain.submission import Request
from tasks.news import QueueInterest, QueueSource, TaskInterest, TaskSource
from tasks.submission import Owner
from tests.integration.graphql.documents import document, object_types, operations, selected_types
from tests.integration.graphql.role_table import CALLERS, HIDDEN, OF_EACH_ITS_OWN, TABLE, Row
from tests.integration.graphql.subjects import NEW_TASK, Made, a_member, body_of, data_of, make_caller
from workers.news import WorkerInterest, WorkerSource

pytestmark = pytest.mark.django_db

CODES = {"UNAUTHENTICATED": "401", "FORBIDDEN": "403", "NOT_FOUND": "404"}
OWN, OTHER = "red", "blue"

SOURCES = {TaskInterest: TaskSource, QueueInterest: QueueSource, WorkerInterest: WorkerSource}


def outcome(row: Row, made: Made, body: dict[str, Any]) -> str:
    """What the caller got, in one word."""
    if "errors" in body:
        code = body["errors"][0]["extensions"]["code"]
        return CODES.get(code, str(body["errors"]))
    return "yes" if row.shows(body["data"]["answer"], made.sign) else "no"


def rows_of_all_tables() -> dict[str, list[dict[str, Any]]]:
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in apps.get_models()}


@pytest.fixture(autouse=True)
def fast_and_uncounted(settings: Settings, redis_server: Redis) -> None:
    """Hash in microseconds, and forget the attempts of other tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def body_of_subscription(
    operation: str, row: Row, identity: Identity | None, team: str, made: Made
) -> tuple[dict[str, Any], Made]:
    """What a subscriber is shown, and what it is to be shown: what it names, else what comes into being after its start."""
    context = RequestContext(identity, None, "192.0.2.1", "test", database_clock, None)
    live = engine.open(GraphQLRequest(document(operation, made.arguments), made.arguments), context)
    if isinstance(live, Answer):
        return live.body, made
    source = SOURCES[type(live.interest)]()
    answers = []
    if "id" not in made.arguments:
        list(source.look([live.interest], None))
        made = row.make(team, identity)
    else:
        lifecycle.cancel(UUID(made.arguments["id"]), database_clock.now())
    for news in source.look([live.interest], missed_seconds=60.0):
        if live.interest in news.interests:
            answers.append(live.show(news.root)["data"]["answer"])
    return {"data": {"answer": answers}}, made


CASES = [
    pytest.param(operation, caller, team, expected, id=f"{operation}-{caller}-{team}")
    for operation, row in TABLE.items()
    for team, words in ((OWN, row.own), (OTHER, row.other))
    for caller, expected in zip(CALLERS, words.split(), strict=True)
]


@pytest.mark.parametrize(("operation", "caller", "team", "expected"), CASES)
def test_each_caller_gets_what_the_table_says(operation: str, caller: str, team: str, expected: str) -> None:
    row = TABLE[operation]
    identity = make_caller(caller, OWN)
    made = row.make(team, identity)
    before = rows_of_all_tables()

    if operation.startswith("Subscription."):
        body, made = body_of_subscription(operation, row, identity, team, made)
    else:
        body = body_of(operation, identity, made.arguments)

    assert outcome(row, made, body) == expected
    if expected in CODES.values() or operation.startswith("Query."):
        assert rows_of_all_tables() == before


def test_every_operation_of_the_schema_is_in_the_table() -> None:
    assert set(TABLE) == operations(), "give each new operation a row"


def test_every_type_of_the_schema_is_selected_by_some_operation_of_the_table() -> None:
    assert set().union(*map(selected_types, TABLE)) == object_types()


@pytest.mark.parametrize(
    "operation", [name for name in TABLE if name.startswith("Query.") and name not in OF_EACH_ITS_OWN]
)
def test_whoever_may_see_a_thing_sees_all_of_it(operation: str) -> None:
    row = TABLE[operation]
    callers = [make_caller(caller, OWN) for caller, word in zip(CALLERS, row.own.split(), strict=True) if word == "yes"]
    made = row.make(OWN, callers[-1])

    answers = [body_of(operation, caller, made.arguments)["data"] for caller in callers]

    assert answers == [answers[-1]] * len(answers)


def test_of_somebody_of_another_team_the_address_alone_is_hidden() -> None:
    request, team = Request(**NEW_TASK), registration.team_named(OWN)
    task = submission.submit_one(request, Owner(team.pk, a_member(OTHER).pk))
    arguments = {"id": str(task.pk)}

    seen, whole = (data_of("Query.task", make_caller(caller, OWN), **arguments) for caller in ("viewer", "admin"))

    assert set(differences(seen, whole)) == HIDDEN
    assert seen["user"]["email"] is None


def differences(seen: Any, whole: Any, path: str = "") -> Iterator[str]:
    if isinstance(seen, dict) and isinstance(whole, dict):
        for key in seen:
            yield from differences(seen[key], whole[key], f"{path}.{key}" if path else key)
    elif seen != whole:
        yield path
