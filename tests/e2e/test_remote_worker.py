"""A worker with nothing but an address and a token, behind a network that fails in every way: nothing lost, one result each."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]

ACCOUNT = "far-away"
TEAM = "default"
BARE = {"DTQ_HANDLERS": "tests.e2e.job_handlers,tests.e2e.counting_handlers", "DTQ_GRACE_PERIOD": "20s"}


class Server:
    """The API, on a port that stays when it is started again."""

    def __init__(self, processes: Processes) -> None:
        self.port = free_port()
        self._processes = processes
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "dtq_site.asgi:application"]
        self._process = self._processes.start(command, DJANGO_SETTINGS_MODULE="dtq_site.settings")
        with httpx.Client(transport=httpx.HTTPTransport(retries=40), timeout=30) as client:
            client.get(f"http://127.0.0.1:{self.port}/health/live").raise_for_status()

    def kill(self) -> None:
        self._process.kill()


@pytest.fixture
def server(processes: Processes) -> Server:
    return Server(processes)


@pytest.fixture
def proxy(server: Server) -> Iterator[TcpProxy]:
    """The only way from the worker to the server."""
    proxy = TcpProxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The worker's token, as the command issues it."""
    path = tmp_path / "token"
    path.write_text(issue_token())
    return path


def issue_token() -> str:
    from accounts import registration, worker_tokens
    from accounts.models import User
    from accounts.roles import Role

    account = User.objects.filter(username=ACCOUNT).first()
    if account is None:
        account = registration.create_user(
            username=ACCOUNT,
            email="far@example.com",
            password=None,
            role=Role.WORKER,
            team=registration.team_named(TEAM),
        )
    return worker_tokens.issue(account, name=ACCOUNT).secret


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def start_remote(tmp_path: Path, proxy: TcpProxy, token_file: Path, store: Path) -> Iterator[Callable[..., Process]]:
    """Start a remote worker, in an environment that knows no database, no Redis and no secret."""
    bare = Processes({"PATH": os.environ["PATH"], "HOME": str(tmp_path), **BARE}, tmp_path / "remote")
    (tmp_path / "remote").mkdir()

    def start(*arguments: str, ready: bool = True, store: Path = store, **variables: str) -> Process:
        where = ["--server", proxy.url, "--token-file", str(token_file), "--store", str(store)]
        worker = bare.manage("runworker", *where, *arguments, **variables)
        if ready:
            worker.wait_for("worker.ready")
        return worker

    yield start
    bare.clear_away()


@pytest.fixture
def slow(enqueue: Callable[..., Any], journal: Path) -> Callable[[str, float], Any]:
    """Enqueue a task that works for so long, and says so in the journal."""
    return lambda word, seconds: enqueue("slow", {"journal": str(journal), "word": word, "seconds": seconds})


def kill_all(worker: Process) -> None:
    """kill -9 every process of the worker, as a power cut does."""
    for pid in worker.members():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: worker.members() == [])


def completed_once(tasks: list[Any], journal: Path, *, timeout_seconds: float = 60.0) -> None:
    """Every task was run once, and has one result."""
    for task in tasks:
        done = wait_for_status(task, "COMPLETED", timeout_seconds)
        assert (done.attempts, done.lost_leases, done.failures) == (1, 0, 0), done.payload
        assert done.result == done.payload["word"]
    words = [task.payload["word"] for task in tasks]
    assert Counter(read(journal)) == Counter([f"{step} {word}" for word in words for step in ("start", "end")])


def logged(task: Any) -> list[str]:
    from tasks.models import TaskLog

    return list(TaskLog.objects.filter(task_id=task.pk).order_by("sequence").values_list("message", flat=True))


def test_it_runs_tasks_with_log_progress_and_children_and_needs_nothing_but_its_store(
    start_remote, slow, enqueue, journal, store, tmp_path
):
    worker = start_remote()

    task = slow("a", 0.5)
    failing = enqueue("journal", {"journal": str(journal), "wrod": "x"})
    parent = enqueue("parent", {"journal": str(journal)})

    done = wait_for_status(task, "COMPLETED")
    assert (done.result, done.attempts, logged(task)) == ("a", 1, ["a is done"])
    assert 0 < done.progress <= 100
    assert "'wrod'" in wait_for_status(failing, "FAILED").error
    child = type(parent).objects.get(pk=wait_for_status(parent, "COMPLETED").result)
    assert wait_for_status(child, "COMPLETED").team_id == parent.team_id
    assert worker.terminate() == 0
    assert worker.members() == []
    assert list(store.glob("*.sqlite3*")) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name == "var") == []
