"""A worker with nothing but an address and a token, behind a network that fails in every way: nothing lost, one result each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import gate, read
from tests.e2e.remote.conftest import completed_once, held_in, kill_all, logged
from tests.support.waiting import eventually
from workers.offline.contents import describe

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]


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


@pytest.mark.long
def test_cut_off_for_long_it_goes_on_with_what_it_holds_and_delivers_when_it_is_back(
    start_remote, proxy, slow, journal, store
):
    tasks = [slow(f"t{number}", 0.5) for number in range(8)]
    worker = start_remote("--concurrency", "2", "--prefetch", "6", "--offline-for", "10m")
    eventually(lambda: _has_got(store, tasks))

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
    start_remote, proxy, enqueue, journal, store
):
    budget = ["--concurrency", "1", "--prefetch", "5", "--offline-for", "10m"]
    tasks = [enqueue("gated", {"journal": str(journal), "word": f"t{number}"}) for number in range(6)]
    first = start_remote(*budget)
    eventually(lambda: held_in(store) == 6, 60)
    proxy.cut()
    for word in ("t0", "t1"):
        gate(journal, word).touch()
    eventually(lambda: _has_begun(store, tasks[2]) and sum("  outcome" in each for each in describe(store)) == 2, 60)
    kill_all(first)

    for word in ("t2", "t3", "t4", "t5"):
        gate(journal, word).touch()
    second = start_remote(*budget, ready=False)
    eventually(lambda: "end t5" in read(journal), 60)
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


def _has_got(store: Path, tasks: Sequence[Any]) -> bool:
    """Whether all tasks have reached the worker, which holds them or has delivered them."""
    held = "\n".join(describe(store))
    return all(str(task.pk) in held or reread(task).status == "COMPLETED" for task in tasks)


def _has_begun(store: Path, task: Any) -> bool:
    return any(f"{task.pk} {task.name}: begun" in line for line in describe(store))


@pytest.mark.long
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


@pytest.mark.long
def test_a_black_hole_holds_up_nothing_that_runs(start_remote, proxy, slow, journal, store):
    tasks = [slow(f"t{number}", 0.3) for number in range(6)]
    start_remote("--concurrency", "2", "--prefetch", "4", "--offline-for", "10m")
    eventually(lambda: _has_got(store, tasks))

    proxy.swallow()
    eventually(lambda: len(read(journal)) == 12, 30)
    time.sleep(2)
    proxy.restore()

    completed_once(tasks, journal)


def test_the_server_may_be_killed_and_started_again(start_remote, server, slow, journal, store):
    worker = start_remote("--prefetch", "10", "--offline-for", "10m")
    tasks = [slow(f"t{number}", 1) for number in range(10)]
    eventually(lambda: _has_got(store, tasks))

    server.kill()
    worker.wait_for("server.unreachable")
    eventually(lambda: len(read(journal)) == 20, 30)
    server.start()

    completed_once(tasks, journal)
    assert worker.running
