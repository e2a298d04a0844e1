"""What tests with real processes share: a worker and a scheduler with short leases, and tasks made from the test."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from tests.support.processes import Process, Processes
from tests.support.servers import MariaDbServer, RedisServer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.claiming import Api

HANDLERS = "tests.e2e.job_handlers"
LEASE_SECONDS = 3


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where handlers write what they do."""
    return tmp_path / "journal"


@pytest.fixture
def start_worker(committed_db: None, redis_server: Any, processes: Processes) -> Callable[..., Process]:
    """Start a worker with the test handlers and a lease of three seconds, ready to claim."""

    def start(*arguments: str, **variables: str) -> Process:
        settings = {"DTQ_HANDLERS": HANDLERS, "DTQ_LEASE": f"{LEASE_SECONDS}s", "DTQ_GRACE_PERIOD": "20s"}
        worker = processes.manage("runworker", *arguments, **{**settings, **variables})
        worker.wait_for("worker.ready")
        return worker

    return start


@pytest.fixture
def start_scheduler(committed_db: None, redis_server: Any, processes: Processes) -> Callable[..., Process]:
    """Start a scheduler that knows of the short leases, and wait until it leads."""

    def start(**variables: str) -> Process:
        scheduler = processes.manage("runscheduler", **{"DTQ_LEASE": f"{LEASE_SECONDS}s", **variables})
        scheduler.wait_for("leader.elected")
        return scheduler

    return start


@pytest.fixture(scope="module")
def own_mariadb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDbServer]:
    """A migrated MariaDB of a module's own, which its tests may stop. The backing is MariaDB."""
    if request.config.getoption("backing") != "mariadb":
        pytest.skip("stops MariaDB, which --backing=mariadb needs anyway")
    folder = tmp_path_factory.mktemp("own")
    server = MariaDbServer(folder / "mariadb")
    server.start()
    migrating = Processes({**os.environ, "DATABASE_URL": server.url()}, folder).manage("migrate", "--verbosity", "0")
    assert migrating.wait(120) == 0, migrating.output
    yield server
    server.stop()


@pytest.fixture
def on_own_mariadb(committed_db: None, own_mariadb: MariaDbServer) -> Iterator[MariaDbServer]:
    """This process on that server."""
    from django.db import connection, connections

    settings = connections.databases["default"]
    before = dict(settings)
    connection.close()
    settings.update(HOST="127.0.0.1", PORT=own_mariadb.port, PASSWORD=own_mariadb.password, NAME="dtq", USER="dtq")
    yield own_mariadb
    connection.close()
    settings.update(before)


@contextmanager
def stopped(server: MariaDbServer) -> Iterator[None]:
    """Within the block the server is killed; connections are refused."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: MariaDbServer) -> Iterator[None]:
    """Within the block the server takes connections and statements, and says nothing."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def emptied_again_and_again(redis: Redis) -> Iterator[None]:
    """Within the block all that Redis has is lost ten times a second."""
    stop = threading.Event()

    def flush() -> None:
        while not stop.wait(0.1):
            redis.flushall()

    flushing = threading.Thread(target=flush)
    flushing.start()
    try:
        yield
    finally:
        stop.set()
        flushing.join()


@pytest.fixture
def own_redis(committed_db: None, tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    """A Redis server that a test may end; this process and those that it starts with `REDIS_URL` use it."""
    from tasks.queue.dispatch import redis_index

    server = RedisServer(tmp_path / "redis")
    server.start()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = server.url, False
    redis_index.cache_clear()
    yield server
    server.stop()
    redis_index.cache_clear()


@pytest.fixture
def enqueue(committed_db: None) -> Callable[..., Any]:
    """Create a task in the team `default`: its name, its payload, and whatever else a request may say."""
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request

    def make(name: str, payload: dict[str, Any] | None = None, **more: Any) -> Any:
        owner = submission.Owner(team_named("default").pk, None)
        return submission.submit_one(Request(name=name, payload=payload or {}, **more), owner)

    return make


@pytest.fixture
def enqueue_many(committed_db: None) -> Callable[..., list[Any]]:
    """Create tasks of one name with these payloads, at once, in the team `default`."""
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request

    def make(name: str, payloads: list[dict[str, Any]], **more: Any) -> list[Any]:
        owner = submission.Owner(team_named("default").pk, None)
        return submission.submit([Request(name=name, payload=payload, **more) for payload in payloads], owner)

    return make


@pytest.fixture
def start_client(committed_db: None, processes: Processes) -> Iterator[Callable[..., Any]]:
    """Starts servers, each with a client; all of these are the admin ann's."""
    from accounts.roles import Role
    from tests.e2e.api_client import Client
    from tests.integration.accounts.making import make_user, sign_in
    from tests.support.factories import make_team
    from tests.support.live_server import start_live_server

    clients: list[Client] = []

    def start(**variables: str) -> Client:
        if not clients:
            make_user(team=make_team("red"), role=Role.ADMIN)
        session = clients[0].session if clients else sign_in()
        clients.append(Client(start_live_server(processes, **variables), session))
        return clients[-1]

    yield start
    for client in clients:
        client.http.close()


@pytest.fixture
def start_api(committed_db: None, redis_server: Any, processes: Processes) -> Callable[..., Api]:
    """Starts servers that workers claim from."""
    from tests.e2e.claiming import Api
    from tests.support.live_server import start_live_server

    return lambda **variables: Api(start_live_server(processes, **variables))


@pytest.fixture
def api(start_api: Callable[..., Api]) -> Api:
    """A server that workers claim from."""
    return start_api()


def reread(task: Any) -> Any:
    """The task as its row says now."""
    return type(task).objects.get(pk=task.pk)


def wait_for_status(task: Any, status: str, timeout_seconds: float = 30.0) -> Any:
    """Wait until the task has that status, and return it as it is then."""

    def reached() -> Any:
        now = reread(task)
        assert now.status == status, f"{now.status}, {now.error!r}, attempts {now.attempts}"
        return now

    return eventually(reached, timeout_seconds)


def all_completed(tasks: list[Any]) -> bool:
    """Whether all of these have completed."""
    from tasks.models import Task

    found = Task.objects.filter(pk__in=[task.pk for task in tasks])
    return set(found.values_list("status", flat=True)) == {"COMPLETED"}
