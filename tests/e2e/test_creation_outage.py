"""Creation while MariaDB is away, stopped or hanging: a clear refusal, nothing by halves, and the same request afterwards makes
one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import hanging, stopped
from tests.support.processes import Processes
from tests.support.servers import MariaDbServer, free_port
from tests.support.waiting import eventually

CREATE = "mutation Create($input: CreateTaskInput!) { createTask(input: $input) { id } }"
REQUEST = {"name": "job", "payload": {"n": 1}, "idempotencyKey": "once"}
AT_ONCE, A_FEW_SECONDS = 2.0, 12.0


@pytest.fixture
def own(redis_server: Any, on_own_mariadb: MariaDbServer) -> MariaDbServer:
    """A server with no task on it, for this process too."""
    from django.db import connections

    from accounts import registration
    from tasks import queues
    from tasks.models import MetricSum, Task

    settings = connections.databases["default"]
    settings["OPTIONS"] = {**settings["OPTIONS"], "read_timeout": 3}
    for rows in (Task, MetricSum):
        rows.objects.all().delete()
    registration.forget_teams()
    queues.forget_known()
    return on_own_mariadb


@pytest.fixture
def create(own: MariaDbServer, processes: Processes) -> Iterator[Callable[[], tuple[dict[str, Any], float]]]:
    """Asks an API process for the same task each time; returns its answer and the seconds that it took."""
    from accounts import demo

    demo.make(demo.ROLES[0])
    port = free_port()
    api = processes.manage("runserver", str(port), "--noreload", DATABASE_URL=own.url())
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    api.wait_for("Listening on TCP|Starting .*development server", 30)

    def signed_in() -> httpx.Response:
        who = {"username": demo.ROLES[0].value, "password": f"{demo.ROLES[0].value}123"}
        return client.post("/auth/login", json=who)

    def token() -> str | None:
        try:
            return signed_in().json().get("access_token")
        except httpx.TransportError:
            return None

    client.headers["Authorization"] = f"Bearer {eventually(token, 30)}"

    def ask() -> tuple[dict[str, Any], float]:
        answer = client.post("/graphql", json={"query": CREATE, "variables": {"input": REQUEST}})
        return answer.json(), answer.elapsed.total_seconds()

    yield ask
    client.close()


def stored() -> tuple[int, float]:
    """How many tasks there are, and how many the metrics say were created."""
    from django.db import connection

    from tasks import metrics
    from tasks.models import Task

    connection.close()  # an earlier one may have been cut off
    return Task.objects.count(), metrics.sums().get((metrics.CREATED, "NORMAL"), 0)


def code_of(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    return error["extensions"]["code"]


def test_a_stopped_database_is_unavailability_at_once_and_the_same_request_makes_one_task_later(own, create):
    with stopped(own):
        refused, seconds = create()

    assert (code_of(refused), seconds < AT_ONCE) == ("UNAVAILABLE", True), (refused, seconds)
    assert stored() == (0, 0)
    first, again = create()[0], create()[0]
    assert first["data"]["createTask"]["id"] == again["data"]["createTask"]["id"]
    assert stored() == (1, 1)


def test_a_hanging_database_is_unavailability_within_seconds_and_the_same_request_makes_one_task_later(own, create):
    with hanging(own):
        refused, seconds = create()

    assert (code_of(refused), seconds < A_FEW_SECONDS) == ("UNAVAILABLE", True), (refused, seconds)
    assert stored() == (0, 0)
    first, again = create()[0], create()[0]
    assert first["data"]["createTask"]["id"] == again["data"]["createTask"]["id"]
    assert stored() == (1, 1)


def enqueue(key: str | None = "once") -> Any:
    """As `.enqueue()` does."""
    from tasks import submission
    from tasks.handling.port import EnqueueRequest

    (task,) = submission.submit_from_code([EnqueueRequest("job", {"n": 1}, idempotency_key=key)])
    return task


@pytest.mark.parametrize("connected", [True, False])
def test_from_python_a_stopped_database_is_an_error_that_says_so_and_later_one_task(own, connected):
    from django.db import OperationalError, connection

    connection.ensure_connection() if connected else connection.close()
    with stopped(own), pytest.raises(OperationalError, match="connect|gone away"):
        enqueue()

    assert enqueue().pk == enqueue().pk
    assert stored() == (1, 1)


@pytest.mark.long
@pytest.mark.parametrize("key", ["once", None])
def test_from_python_a_database_that_hangs_is_given_up_and_what_it_does_afterwards_is_whole(own, key):
    from django.db import OperationalError

    from dtq_site.foundation.clock import elapsed_clock
    from dtq_site.foundation.connections import is_unavailable

    enqueue(None)
    with hanging(own):
        started = elapsed_clock()
        with pytest.raises(OperationalError) as refusal:
            enqueue(key)
        seconds = elapsed_clock() - started

    assert is_unavailable(refusal.value)
    assert seconds < A_FEW_SECONDS
    assert enqueue().pk == enqueue().pk
    # Without a key the hanging server has got the whole insert, and may still commit it; what it read with a key wrote nothing.
    expected = {(2, 2)} if key else {(2, 2), (3, 3)}
    assert eventually(lambda: stored() in expected)
