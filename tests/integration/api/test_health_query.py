"""The field `health` of the API says what `/health` says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client

from accounts.identity import WorkerGrant
from accounts.roles import Role
from dtq_site import health, health_query
from tests.support.api import ask
from tests.support.factories import create, make_user

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("committed_db")

QUERY = """{ health { status uptime timestamp workers { online total } queue { depth deadLetter }
             checks { name status milliseconds stuck error } } }"""


def test_it_says_what_the_page_says():
    page = Client().get("/health").json()

    answer = ask(QUERY)["data"]["health"]

    assert answer["status"] == page["status"].upper() == "DEGRADED"
    assert answer["timestamp"].endswith("Z")
    assert (answer["workers"], answer["queue"]) == (page["workers"], page["queue"])
    assert {check["name"]: check["status"] for check in answer["checks"]} == {
        "database": "ok",
        "redis": "ok",
        "workers": "none",
        "scheduler": "none",
    }
    assert {check["name"] for check in answer["checks"] if check["milliseconds"] is not None} == {"database", "redis"}


def test_it_answers_without_the_database(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise OperationalError(2002, "Can't connect to server on 'db-7.internal'")

    monkeypatch.setattr(health, "_read_from_database", refuse)

    answer = ask(QUERY)["data"]["health"]

    assert answer["status"] == "DOWN"
    database = next(check for check in answer["checks"] if check["name"] == "database")
    assert database == {
        "name": "database",
        "status": "down",
        "milliseconds": None,
        "stuck": None,
        "error": "OperationalError",
    }
    assert answer["queue"] == {"depth": 0, "deadLetter": 0}


@pytest.mark.parametrize(
    ("role", "named"), [(Role.VIEWER, True), (Role.USER, True), (Role.ADMIN, True), (Role.WORKER, False), (None, False)]
)
def test_queues_that_are_stuck_are_named_to_whom_may_ask_for_queues(role: Role | None, named: bool):
    for name in ("art", "mail"):
        create(LONG_AGO, queue=name)

    answer = ask(QUERY, identity=role and make_user(role=role).identity)["data"]["health"]

    stuck = [(check["name"], check["stuck"]) for check in answer["checks"] if check["status"] == "stuck"]
    assert stuck == ([("queue art", None), ("queue mail", None)] if named else [("queues", 2)])


def test_a_worker_token_names_no_queue_whoever_has_it():
    create(LONG_AGO, queue="mail")
    user = replace(make_user(role=Role.USER).identity, grant=WorkerGrant(UUID(int=1)))

    answer = ask(QUERY, identity=user)["data"]["health"]

    assert [check["name"] for check in answer["checks"] if check["status"] == "stuck"] == ["queues"]


def test_an_operation_looks_once_however_often_it_asks(monkeypatch: pytest.MonkeyPatch):
    looks = []
    report = health_query.report
    monkeypatch.setattr(health_query, "report", lambda **options: looks.append(1) or report(**options))
    names = [f"h{n}" for n in range(30)]

    answer = ask("{ " + " ".join(f"{name}: health {{ status timestamp }}" for name in names) + " }")["data"]

    assert (len(looks), list(answer)) == (1, names)
    assert len({str(each) for each in answer.values()}) == 1
    ask("{ health { status } }")
    assert len(looks) == 2
