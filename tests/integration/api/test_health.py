"""The probes, and every address that is only for reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from scheduling import selectors as scheduling

pytestmark = pytest.mark.usefixtures("committed_db")

PROBES = ["/health", "/health/database", "/health/ready", "/health/queue"]


@pytest.fixture
def unmigrated(committed_db: None) -> Iterator[None]:
    """A database without the tables that the probes read."""
    tables = ["tasks_queue", "tasks_task"]
    _rename({table: f"{table}_gone" for table in tables})
    yield
    _rename({f"{table}_gone": table for table in tables})


def _rename(names: dict[str, str]) -> None:
    with connection.cursor() as cursor, connection.constraint_checks_disabled():
        for old, new in names.items():
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


@pytest.fixture
def away(committed_db: None) -> Iterator[None]:
    """A database that cannot be reached."""

    def refuse(*_: object) -> None:
        raise OperationalError(2002, "Can't connect to server on 'db-7.internal'")

    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections["default"], "connect", refuse)
        yield


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_is_200_while_the_database_is_there(path: str):
    response = Client().get(path)

    assert response.status_code == 200
    assert response.json()["status"] in ("ok", "degraded")


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_is_503_without_our_tables(unmigrated: None, path: str):
    response = Client().get(path)

    assert response.status_code == 503
    assert response.json()["status"] == "down"


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_is_503_while_the_database_is_away(away: None, path: str):
    response = Client().get(path)

    assert response.status_code == 503
    assert response.json()["status"] == "down"
    assert b"db-7" not in response.content


def test_the_process_is_live_while_the_database_is_away(away: None):
    assert Client().get("/health/live").status_code == 200


def test_a_database_that_goes_away_between_two_checks_is_down(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OperationalError(2013, "Lost connection")

    monkeypatch.setattr(scheduling, "has_leader", refuse)

    body = Client().get("/health").json()

    assert body["status"] == "down"
    assert body["checks"]["database"] == {"status": "down", "error": "OperationalError"}
    assert body["workers"] == {"online": 0, "total": 0}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*PROBES, "/health/live", "/metrics", "/"])
def test_what_is_for_reading_takes_no_other_method(path: str, method: str):
    response = Client(enforce_csrf_checks=True).generic(method, path)

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
