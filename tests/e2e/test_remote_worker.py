"""A worker with nothing but an address and a token, behind a network that fails in every way: nothing lost, one result each."""

from __future__ import annotations

import os
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
from tests.support.processes import Process, Processes
from tests.support.servers import free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually
from workers.client import Client
from workers.offline.contents import describe

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


def held_in(store: Path) -> int:
    """How many tasks the worker holds, by its own disk."""
    return sum(line.startswith("  held") for line in describe(store))


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


# --- the network ---------------------------------------------------------------------------------------------------


def test_cut_off_for_long_it_goes_on_with_what_it_holds_and_delivers_when_it_is_back(
    start_remote, proxy, slow, journal, store
):
    worker = start_remote("--concurrency", "2", "--prefetch", "6", "--offline-for", "10m")
    tasks = [slow(f"t{number}", 0.5) for number in range(8)]
    eventually(lambda: held_in(store) + len(read(journal)) // 2 >= 8)

    with proxy.away():
        eventually(lambda: len(read(journal)) == 16, 30)
        late = slow("late", 0.1)
        worker.wait_for("outbox.kept")
        time.sleep(3)
        assert reread(late).status == "QUEUED"

    completed_once([*tasks, late], journal)
    assert {tuple(logged(task)) for task in tasks} == {(f"t{number} is done",) for number in range(8)}
    assert "lease.lost" not in worker.output
    assert worker.terminate() == 0
    assert list(store.glob("*.sqlite3*")) == []


def test_killed_while_cut_off_and_started_again_without_the_server_it_runs_the_rest_and_delivers_all(
    start_remote, proxy, slow, journal, store
):
    budget = ["--concurrency", "1", "--prefetch", "5", "--offline-for", "10m"]
    first = start_remote(*budget)
    tasks = [slow(f"t{number}", 1) for number in range(6)]
    eventually(lambda: held_in(store) == 6)
    proxy.cut()
    eventually(lambda: any(f"{tasks[2].pk} slow: begun" in line for line in describe(store)), 20)
    kill_all(first)

    second = start_remote(*budget, ready=False)
    eventually(lambda: "end t5" in read(journal), 30)
    assert [reread(task).status for task in tasks] == ["PROCESSING"] * 6
    proxy.restore()

    done = [wait_for_status(task, "COMPLETED", 60) for task in tasks]
    interrupted = [task.payload["word"] for task in done if task.attempts != 1]
    assert interrupted == ["t2"] and done[2].lost_leases == 1
    assert Counter(read(journal)) == Counter(
        [f"{step} t{number}" for number in range(6) for step in ("start", "end")] + ["start t2"]
    )
    assert second.terminate() == 0
    assert list(store.glob("*.sqlite3*")) == []


@pytest.mark.parametrize("operation", ["ClaimTasks", "ReportOutcomes", "EnqueueTasks", "RenewLeases", "RegisterWorker"])
def test_a_reply_that_is_lost_on_the_way_changes_nothing(start_remote, proxy, slow, enqueue, journal, operation):
    proxy.cut_reply(operation.encode())
    start_remote("--offline-for", "10m")
    tasks = [slow(f"t{number}", 0.2) for number in range(6)]
    parent = enqueue("parent", {"journal": str(journal)}) if operation == "EnqueueTasks" else None

    if parent is not None:
        assert wait_for_status(parent, "COMPLETED").result == "None"  # its child waits on the worker's disk then
        children = type(parent).objects.filter(name="journal")
        eventually(lambda: [child.status for child in children.all()] == ["COMPLETED"], 30)
        assert read(journal).count(f"child of {parent.pk}") == 1
        assert all(wait_for_status(task, "COMPLETED").attempts == 1 for task in tasks)
    else:
        completed_once(tasks, journal)
    assert proxy.replies_cut == 1


def test_a_black_hole_holds_up_nothing_that_runs(start_remote, proxy, slow, journal, store):
    start_remote("--concurrency", "2", "--prefetch", "4", "--offline-for", "10m")
    tasks = [slow(f"t{number}", 0.3) for number in range(6)]
    eventually(lambda: held_in(store) + len(read(journal)) // 2 >= 6)

    proxy.swallow()
    eventually(lambda: len(read(journal)) == 12, 30)
    time.sleep(2)
    proxy.restore()

    completed_once(tasks, journal)


def test_the_server_may_be_killed_and_started_again(start_remote, server, slow, journal, store):
    worker = start_remote("--prefetch", "10", "--offline-for", "10m")
    tasks = [slow(f"t{number}", 1) for number in range(10)]
    eventually(lambda: held_in(store) == 10)

    server.kill()
    worker.wait_for("server.unreachable")
    eventually(lambda: len(read(journal)) == 20, 30)
    server.start()

    completed_once(tasks, journal)
    assert worker.running


# --- other faults --------------------------------------------------------------------------------------------------


def test_of_two_workers_that_ran_the_same_task_one_has_the_result_and_the_other_is_evidence(
    start_remote, start_worker, start_scheduler, proxy, slow, journal
):
    from tasks.models import TaskAttempt

    start_scheduler()
    start_remote("--offline-for", "15s")
    task = slow("twice", 30)
    eventually(lambda: read(journal) == ["start twice"])

    proxy.cut()
    start_worker()
    eventually(lambda: read(journal) == ["start twice"] * 2, 60)
    eventually(lambda: "end twice" in read(journal), 60)
    proxy.restore()

    done = wait_for_status(task, "COMPLETED", 60)
    assert (done.result, done.fencing_token, done.lost_leases) == ("twice", 2, 1)
    eventually(lambda: TaskAttempt.objects.filter(task_id=task.pk).count() >= 2, 30)
    assert "refused" in set(TaskAttempt.objects.filter(task_id=task.pk).values_list("ending", flat=True))


def test_a_revoked_token_ends_the_leases_keeps_the_outcomes_and_a_new_one_in_the_file_is_enough(
    start_remote, proxy, token_file, slow, journal, store
):
    from accounts import worker_tokens
    from accounts.models import WorkerToken

    worker = start_remote("--offline-for", "10m")
    task = slow("a", 2)
    eventually(lambda: read(journal) == ["start a"])

    worker_tokens.revoke(WorkerToken.objects.get().pk)
    worker.wait_for("token.refused")
    eventually(lambda: read(journal) == ["start a", "end a"], 20)
    eventually(lambda: any("COMPLETED" in line for line in describe(store)))
    token_file.write_text(issue_token())

    assert wait_for_status(task, "COMPLETED", 60).result == "a"
    eventually(lambda: not any("COMPLETED" in line for line in describe(store)), 20)
    assert worker.running


def test_with_a_full_disk_it_claims_no_more_says_so_and_loses_nothing(start_remote, enqueue, store):
    worker = start_remote("--concurrency", "1", "--prefetch", "100", "--offline-for", "10m", DTQ_OUTBOX_MB="1")
    tasks = [enqueue("weigh", {"ballast": "x" * 200_000}) for _ in range(20)]

    worker.wait_for("journal.full")

    for task in tasks:
        assert wait_for_status(task, "COMPLETED", 90).result == 200_000
    assert sum(reread(task).lost_leases for task in tasks) == 0


@pytest.mark.timeout(400)
def test_a_worker_that_loses_its_server_ten_times_and_its_life_once_settles_two_thousand_tasks_once_each(
    start_remote, proxy, enqueue, store
):
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.models import Task

    budget = ["--concurrency", "4", "--prefetch", "50", "--offline-for", "10m"]
    owner = submission.Owner(team_named(TEAM).pk, None)
    worker = start_remote(*budget)
    for first in range(0, 2000, 500):
        submission.submit([Request(name="square", payload={"number": n}) for n in range(first, first + 500)], owner)
    done = Task.objects.filter(name="square", status="COMPLETED")

    for outage in range(10):
        reached = done.count()
        eventually(lambda reached=reached: done.count() >= min(2000, reached + 60), 60)
        if outage % 3 == 1:
            proxy.cut_reply(b"ReportOutcomes")
        with proxy.away():
            time.sleep(0.5)
            if outage == 5:
                kill_all(worker)
                worker = start_remote(*budget, ready=False)
    eventually(lambda: done.count() == 2000, 120)

    assert all(task.result == task.payload["number"] ** 2 and task.attempts == 1 for task in done)
    assert Task.objects.filter(name="square", fencing_token__gt=2).count() == 0
    assert worker.terminate() == 0
    assert list(store.glob("*.sqlite3*")) == []


def test_a_process_that_dies_alone_is_replaced_and_what_it_held_is_settled_from_its_file(start_remote, slow, journal):
    worker = start_remote("--concurrency", "1", "--prefetch", "3", "--offline-for", "10m")
    tasks = [slow(f"t{number}", 1) for number in range(4)]
    eventually(lambda: all(reread(task).status == "PROCESSING" for task in tasks) and reread(tasks[0]).begun)

    (child,) = worker.workers()
    os.kill(child, signal.SIGKILL)

    done = [wait_for_status(task, "COMPLETED", 60) for task in tasks]
    assert [(task.attempts, task.lost_leases) for task in done] == [(2, 1), (1, 0), (1, 0), (1, 0)]
    assert Counter(read(journal))["start t0"] == 2 and len(read(journal)) == 9


def test_stopped_in_order_while_cut_off_it_leaves_everything_to_its_successor(
    start_remote, proxy, slow, journal, store
):
    budget = ["--concurrency", "1", "--prefetch", "3", "--offline-for", "10m"]
    first = start_remote(*budget)
    tasks = [slow(f"t{number}", 1) for number in range(4)]
    eventually(lambda: held_in(store) == 4)
    proxy.cut()

    assert first.terminate(60) == 0
    assert first.members() == []
    second = start_remote(*budget, ready=False)
    eventually(lambda: "end t3" in read(journal), 30)
    proxy.restore()

    completed_once(tasks, journal)
    assert second.terminate() == 0
    assert list(store.glob("*.sqlite3*")) == []


# --- scripts -------------------------------------------------------------------------------------------------------


def test_a_script_that_is_cut_off_creates_its_tasks_once_when_it_is_back(proxy, start_remote, tmp_path, journal):
    from tasks.models import Task

    token = access_token()
    with proxy.away(), Client(proxy.url, token, store=tmp_path / "client") as script:
        asked = script.enqueue("journal", {"journal": str(journal), "word": "x"})
        assert (asked.id, asked.status) == (None, None)
        script.enqueue("journal", {"journal": str(journal), "word": "y"}, idempotency_key="mine")
        script.enqueue("no name", {})
    assert Task.objects.count() == 0

    with Client(proxy.url, token, store=tmp_path / "client") as again:
        assert again.deliver() == 0
        start_remote()
        repeated = again.enqueue("journal", {"journal": str(journal), "word": "y"}, idempotency_key="mine")
        assert again.wait(repeated.id)["result"] == "y"
        ((key, reason),) = again.refused

    assert "name" in reason and key
    assert sorted(Task.objects.values_list("payload__word", flat=True)) == ["x", "y"]
    assert list((tmp_path / "client").glob("*.sqlite3*")) == []


def access_token() -> str:
    from accounts import authentication, registration

    user = registration.create_user(
        username="scripter", email="s@example.com", password=None, team=registration.team_named(TEAM)
    )
    return authentication.sign_in(user).access_token
