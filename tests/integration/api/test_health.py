"""The probes, and every address that is only for reading."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from dtq_site import health
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock
from scheduling import selectors as scheduling
from tasks import queues
from tasks.domain.states import TaskStatus
from tests.support.factories import claim, create, in_state
from tests.support.waiting import eventually

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
        patch.setattr(type(connections["default"]), "connect", refuse)
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


@pytest.mark.parametrize("path", [*PROBES, "/health/live"])
def test_a_probe_may_ask_by_an_address_that_is_no_name_of_the_installation(settings: Any, path: str):
    settings.ALLOWED_HOSTS = ["dtq.example.com"]
    by_address = {"Host": "10.1.2.3:3000"}

    assert Client().get(path, headers=by_address).status_code == 200
    assert Client().get("/tasks", headers=by_address).status_code == 400


# --- stuck or idle -------------------------------------------------------------------------------------------------


def stuck_queues() -> list[str]:
    checks = health.report(names_queues=True)["checks"]
    return [name for name, check in checks.items() if check["status"] == "stuck"]


@pytest.fixture
def late_after_a_minute(settings: Any) -> None:
    """Queues are late when something has been waiting for so long."""
    settings.DTQ_SCHEDULING = replace(settings.DTQ_SCHEDULING, queue_late_after=timedelta(minutes=1))


def test_a_queue_is_stuck_when_its_tasks_wait_for_too_long_and_none_runs(late_after_a_minute: None):
    now = database_clock.now()
    before = now - timedelta(minutes=2)
    create(now, queue="short")
    create(before, queue="stuck")
    create(before, queue="paused")
    queues.pause("paused")
    claim([create(before, queue="busy")], now)
    create(before, queue="busy")

    assert stuck_queues() == ["queue stuck"]


def test_a_task_that_nobody_can_run_makes_no_queue_stuck_that_goes_on(late_after_a_minute: None):
    now = database_clock.now()
    create(now - timedelta(hours=1), queue="mail", name="nobody-knows-it")
    in_state(TaskStatus.COMPLETED, now - timedelta(seconds=30), queue="mail")
    create(now - timedelta(hours=1), queue="art")
    in_state(TaskStatus.COMPLETED, now - timedelta(seconds=90), queue="art")

    assert stuck_queues() == ["queue art"]


def test_who_has_not_signed_in_learns_how_many_queues_are_stuck_and_not_which(late_after_a_minute: None):
    for name in ("mail", "art"):
        create(database_clock.now() - timedelta(hours=1), queue=name)

    answer = Client().get("/health")

    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["queues"] == {"status": "stuck", "stuck": 2}
    assert b"mail" not in answer.content


# --- what hangs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_redis_that_never_answers_is_down_in_time(settings: Any, silent_port: int):
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = f"redis://127.0.0.1:{silent_port}/0", False
    started = elapsed_clock()

    body = Client().get("/health").json()

    assert elapsed_clock() - started < health.ANSWER_SECONDS + 0.5
    assert (body["status"], body["checks"]["redis"]) == ("degraded", {"status": "down", "error": "TimeoutError"})
    assert body["checks"]["database"]["status"] == "ok"


def test_one_thread_hangs_however_many_ask_and_a_later_probe_is_well_again(monkeypatch: pytest.MonkeyPatch):
    hung, asked = threading.Event(), []

    def hang() -> None:
        asked.append(threading.current_thread())
        hung.wait(30)

    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(health, "_read_from_database", hang)
        codes = [Client().get(path).status_code for path in ("/health/ready", "/health/database", "/health")]
        live = Client().get("/health/live").status_code
        hung.set()
        asked[0].join()
    monkeypatch.undo()

    assert (codes, live, len(asked)) == ([503, 503, 503], 200, 1)
    assert Client().get("/health/ready").status_code == 200


def test_a_database_that_is_too_busy_to_count_degrades_and_is_not_down(monkeypatch: pytest.MonkeyPatch):
    counted, counting = threading.Event(), []

    def count() -> dict[str, int]:
        counting.append(threading.current_thread())
        counted.wait(30)
        return {"depth": 0, "deadLetter": 0}

    monkeypatch.setattr(health.tasks, "backlog", count)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.5)

    response = Client().get("/health")

    counted.set()
    eventually(lambda: counting and not counting[0].is_alive())
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["rows"] == {"status": "slow"}
