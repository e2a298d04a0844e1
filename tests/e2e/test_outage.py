"""MariaDB away under real processes: what runs ends, its outcome is kept on disk and recorded once, whoever delivers it."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.processes import Process
from tests.support.servers import MariaDbServer
from tests.support.waiting import eventually

LONG_LEASE = {"DTQ_LEASE": "15s"}  # so that a successor has the time to start before a lease ends for good
SLOTS = 4


@pytest.fixture
def server(on_own_mariadb: MariaDbServer) -> Iterator[MariaDbServer]:
    """A MariaDB that may be stopped; it runs again when the test is over."""
    yield on_own_mariadb
    if not on_own_mariadb._answers():
        on_own_mariadb.start()


@pytest.fixture
def own(server: MariaDbServer, tmp_path: Path) -> dict[str, str]:
    """The variables that bring others to that server."""
    return {"DATABASE_URL": server.url(), "DTQ_DATA_FOLDER": str(tmp_path / "data")}


@pytest.fixture
def outbox(tmp_path: Path) -> Callable[[], list[str]]:
    """The outbox files that there are."""
    return lambda: sorted(path.name for path in (tmp_path / "data" / "outbox").glob("*.sqlite3*"))


@pytest.fixture
def work(own: dict[str, str], start_worker: Callable[..., Process]) -> Callable[..., Process]:
    """Start a worker on the server that may be stopped."""
    return lambda slots=SLOTS, **variables: start_worker("--concurrency", str(slots), **own, **variables)


@pytest.fixture
def slow(own: dict[str, str], enqueue: Callable[..., Any], journal: Path) -> Callable[[str, float], Any]:
    """Enqueue a task that works for so long, and says so in the journal."""
    return lambda word, seconds: enqueue("slow", {"journal": str(journal), "word": word, "seconds": seconds})


def restart(server: MariaDbServer) -> None:
    """Bring the server back, and this process's connection with it."""
    from django.db import connection

    server.start()
    connection.close()


def completed_once(tasks: list[Any], journal: Path) -> None:
    """Every task was run once, and this is recorded once."""
    for task in tasks:
        done = wait_for_status(task, "COMPLETED", 60)
        assert (done.attempts, done.lost_leases, done.failures) == (1, 0, 0), done.payload
        assert done.result == done.payload["word"]
    words = [task.payload["word"] for task in tasks]
    assert Counter(read(journal)) == Counter([f"{step} {word}" for word in words for step in ("start", "end")])


def log_of(task: Any) -> list[str]:
    from tasks.models import TaskLog

    return list(TaskLog.objects.filter(task_id=task.pk).values_list("message", flat=True))


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("away_seconds", [10, pytest.param(30, marks=pytest.mark.long)])
def test_what_runs_ends_while_the_database_is_away_and_is_recorded_once(
    away_seconds, server, own, work, slow, start_scheduler, outbox, journal
):
    start_scheduler(**own)
    worker = work()
    tasks = [slow(f"short {number}", 1 + number / 10) for number in range(6)]
    tasks += [slow(f"through {number}", away_seconds + 4) for number in range(2)]
    tasks += [slow(f"later {number}", 0.1) for number in range(30)]
    eventually(lambda: "start through 0" in read(journal) and "start through 1" in read(journal))
    begun = {line.removeprefix("start ") for line in read(journal) if line.startswith("start")}

    server.stop()
    stopped_at = time.monotonic()
    with pytest.raises(Exception) as refused:
        slow("refused", 0)
    assert time.monotonic() - stopped_at < 2
    worker.wait_for("outbox.kept")
    time.sleep(max(0.0, away_seconds - (time.monotonic() - stopped_at)))
    started = {line.removeprefix("start ") for line in read(journal) if line.startswith("start")}
    restart(server)

    from dtq_site.foundation.connections import is_unavailable

    assert is_unavailable(refused.value)
    completed_once(tasks, journal)
    assert [log_of(task) for task in tasks[:2]] == [["short 0 is done"], ["short 1 is done"]]
    assert begun <= started
    assert "start refused" not in read(journal)
    eventually(lambda: outbox() == [])
    assert worker.running and "lease.lost" not in worker.output


@pytest.mark.timeout(180)
def test_outcomes_of_a_killed_worker_are_delivered_by_the_next_one(
    server, own, work, slow, start_scheduler, outbox, journal
):
    start_scheduler(**own, **LONG_LEASE)
    first = work(**LONG_LEASE)
    tasks = [slow(str(number), 1.5) for number in range(SLOTS)]
    eventually(lambda: len(read(journal)) == SLOTS)
    server.stop()
    eventually(lambda: sum(_kept(first, "outcomes")) == SLOTS, 30)

    for pid in first.members():
        os.kill(pid, signal.SIGKILL)
    assert outbox() != []
    restart(server)
    assert [reread(task).status for task in tasks] == ["PROCESSING"] * SLOTS
    second = work(**LONG_LEASE)

    completed_once(tasks, journal)
    assert [log_of(task) for task in tasks] == [[f"{number} is done"] for number in range(SLOTS)]
    second.wait_for("outbox.inherited")
    eventually(lambda: outbox() == [])


@pytest.mark.long
@pytest.mark.timeout(180)
def test_outcomes_of_a_killed_process_are_delivered_by_the_one_in_its_place(
    server, own, work, slow, start_scheduler, outbox, journal
):
    start_scheduler(**own, **LONG_LEASE)
    worker = work(**LONG_LEASE)
    tasks = [slow(str(number), 1.5) for number in range(SLOTS)]
    eventually(lambda: len(read(journal)) == SLOTS)
    server.stop()
    eventually(lambda: sum(_kept(worker, "outcomes")) == SLOTS, 30)

    (process,) = worker.workers()
    os.kill(process, signal.SIGKILL)
    worker.wait_for("worker.died")
    restart(server)

    completed_once(tasks, journal)
    eventually(lambda: outbox() == [])
    assert worker.running


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_worker_told_to_end_leaves_its_outcomes_on_disk_for_the_next_one(
    server, own, work, slow, start_scheduler, outbox, journal
):
    start_scheduler(**own, **LONG_LEASE)
    first = work(**LONG_LEASE)
    tasks = [slow(str(number), 2 + number / 10) for number in range(SLOTS)]
    eventually(lambda: len(read(journal)) == SLOTS)
    server.stop()

    code = first.terminate(timeout_seconds=60)

    assert code == 0, first.output
    (left,) = [line for line in first.output.splitlines() if "outbox.left" in line]
    assert f"outcomes={SLOTS}" in left and "on_disk=True" in left
    assert outbox() != []
    assert first.members() == []
    restart(server)
    work(**LONG_LEASE)
    completed_once(tasks, journal)
    eventually(lambda: outbox() == [])


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_worker_that_can_neither_deliver_nor_keep_says_so_and_its_task_runs_again(
    server, own, work, slow, start_scheduler, tmp_path, journal
):
    start_scheduler(**own)
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "outbox").touch()
    first = work()
    first.wait_for("outbox.unusable")
    task = slow("a", 1)
    eventually(lambda: read(journal) == ["start a"])
    server.stop()

    code = first.terminate(timeout_seconds=60)

    assert code == 4
    assert "outcomes=1" in first.wait_for("outbox.left.*on_disk=False")[0]
    assert read(journal) == ["start a", "end a"]
    restart(server)
    work()
    again = wait_for_status(task, "COMPLETED", 60)
    assert again.lost_leases == 1
    assert read(journal) == ["start a", "end a"] * 2


def test_a_damaged_file_is_put_aside_and_work_goes_on(own, work, slow, outbox, tmp_path, journal):
    folder = tmp_path / "data" / "outbox"
    folder.mkdir(parents=True)
    (folder / "outbox-0.sqlite3").write_bytes(b"what a dying disk wrote" * 500)

    worker = work()

    worker.wait_for("outbox.set_aside")
    completed_once([slow("a", 0.1)], journal)
    assert outbox() == ["outbox-0.sqlite3.damaged-1"]


@pytest.mark.long
@pytest.mark.timeout(180)
def test_outcomes_beyond_the_bound_of_the_disk_are_told_and_delivered_from_memory(
    server, own, work, enqueue, start_scheduler, outbox
):
    start_scheduler(**own, **LONG_LEASE)
    handlers = {"DTQ_HANDLERS": "tests.e2e.bulky_handlers", "DTQ_OUTBOX_MB": "1"}
    worker = work(slots=6, **LONG_LEASE, **handlers)
    tasks = [enqueue("bulky-later", {"size": 240_000, "seconds": 2}) for _ in range(6)]
    eventually(lambda: all(reread(task).status == "PROCESSING" for task in tasks))
    server.stop()

    full = worker.wait_for(r"outbox\.full.*\bonly_in_memory=(\d)")

    assert sum(_kept(worker, "outcomes")) == 4
    assert full[1] in "12"
    restart(server)
    for task in tasks:
        done = wait_for_status(task, "COMPLETED", 60)
        assert (done.attempts, len(done.result)) == (1, 240_000)
    eventually(lambda: outbox() == [])


def _kept(worker: Process, fact: str) -> list[int]:
    """The counts that the worker's lines of kept outcomes name."""
    lines = [line for line in worker.output.splitlines() if "outbox.kept" in line]
    return [int(line.partition(f"{fact}=")[2].split()[0]) for line in lines]
