"""What tests of remote workers share: a server behind a proxy, and workers in an environment that knows nothing else."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import wait_for_status
from tests.e2e.job_handlers import read
from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually
from workers.offline.contents import describe

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
        command = [sys.executable, "-m", "dtq_site.server", "-p", str(self.port), "dtq_site.asgi:application"]
        self._process = self._processes.start(command, DJANGO_SETTINGS_MODULE="dtq_site.settings")
        eventually(self._answers, 60)

    def _answers(self) -> bool:
        if not self._process.running:
            raise RuntimeError(f"the server ended: {self._process.output[-2000:]}")
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/live", timeout=5).is_success
        except httpx.TransportError:
            return False

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
    """Start a remote worker, in an environment that knows no database, no Redis and no secret; `within` is what runs it."""
    bare = Processes({"PATH": os.environ["PATH"], "HOME": str(tmp_path), **BARE}, tmp_path / "remote")
    (tmp_path / "remote").mkdir()

    def start(
        *arguments: str, ready: bool = True, store: Path = store, within: Sequence[str] = (), **variables: str
    ) -> Process:
        where = ["--server", proxy.url, "--token-file", str(token_file), "--store", str(store)]
        command = [*within, sys.executable, str(ROOT / "manage.py"), "runworker", *where, *arguments]
        worker = bare.start(command, **variables)
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


def held_in(store: Path) -> int:
    """How many tasks the worker holds, by its own disk."""
    return sum(line.startswith("  held") for line in describe(store))


def logged(task: Any) -> list[str]:
    from tasks.models import TaskLog

    return list(TaskLog.objects.filter(task_id=task.pk).order_by("sequence").values_list("message", flat=True))


def access_token() -> str:
    from accounts import authentication, registration

    user = registration.create_user(
        username="scripter", email="s@example.com", password=None, team=registration.team_named(TEAM)
    )
    return authentication.sign_in(user).access_token
