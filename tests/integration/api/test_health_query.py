"""The field `health` of the API says what `/health` says."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client

from dtq_site import health
from tests.support.api import ask

pytestmark = pytest.mark.usefixtures("committed_db")

QUERY = """{ health { status uptime timestamp workers { online total } queue { depth deadLetter }
             checks { name status milliseconds error } } }"""


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
    assert database == {"name": "database", "status": "down", "milliseconds": None, "error": "OperationalError"}
    assert answer["queue"] == {"depth": 0, "deadLetter": 0}
