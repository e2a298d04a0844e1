"""What befalls remote workers beside the network: rivals, revoked tokens, full disks, kills; and scripts that are cut off."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.e2e.remote.conftest import TEAM, completed_once, held_in, issue_token, kill_all
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually
from workers.offline.contents import describe

pytestmark = [pytest.mark.usefixtures("committed_db", "redis_server"), pytest.mark.timeout(240)]


@pytest.mark.long
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


def test_what_was_done_for_one_address_is_not_told_to_another_and_is_delivered_by_the_next_worker_for_it(
    start_remote, server, proxy, slow, journal, store
):
    first = start_remote("--offline-for", "10m")
    task = slow("a", 1)
    eventually(lambda: read(journal) == ["start a"])
    proxy.cut()
    eventually(lambda: any("COMPLETED" in line for line in describe(store)), 20)
    kill_all(first)

    elsewhere = TcpProxy(server.port)
    second = start_remote("--server", elsewhere.url)
    second.wait_for("outbox.other_server")
    assert second.terminate() == 0
    elsewhere.close()
    assert any("COMPLETED" in line for line in describe(store))
    proxy.restore()
    start_remote()

    completed_once([task], journal)
    eventually(lambda: not any("COMPLETED" in line for line in describe(store)), 20)


@pytest.mark.long
def test_with_a_full_disk_it_claims_no_more_says_so_and_loses_nothing(start_remote, enqueue, store):
    tasks = [
        enqueue("weigh", {"ballast": "x" * 200_000}) for _ in range(20)
    ]  # before the worker, which claims all at once

    worker = start_remote("--concurrency", "1", "--prefetch", "100", "--offline-for", "10m", DTQ_OUTBOX_MB="1")
    worker.wait_for("journal.full")

    for task in tasks:
        assert wait_for_status(task, "COMPLETED", 90).result == 200_000
    assert sum(reread(task).lost_leases for task in tasks) == 0


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_worker_that_loses_its_server_ten_times_and_its_life_once_settles_two_thousand_tasks_once_each(
    start_remote, start_scheduler, proxy, enqueue, store
):
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.models import Task

    budget = ["--concurrency", "4", "--prefetch", "50", "--offline-for", "10m"]
    owner = submission.Owner(team_named(TEAM).pk, None)
    start_scheduler()  # takes back what a claim won whose answer was lost before the worker was killed
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
    eventually(lambda: done.count() == 2000, 180)

    assert all(task.result == task.payload["number"] ** 2 and task.attempts == 1 for task in done)
    assert Task.objects.filter(name="square", fencing_token__gt=2).count() == 0
    # A claim has been answered since the last outage: one that has not is left to the next worker.
    assert wait_for_status(enqueue("square", {"number": 7}), "COMPLETED", 60).result == 49
    assert worker.terminate() == 0
    assert list(store.glob("*.sqlite3*")) == []


@pytest.mark.long
def test_a_process_that_dies_alone_is_replaced_and_what_it_held_is_settled_from_its_file(start_remote, slow, journal):
    worker = start_remote("--concurrency", "1", "--prefetch", "3", "--offline-for", "10m")
    tasks = [slow("t0", 5), *(slow(f"t{number}", 1) for number in (1, 2, 3))]
    eventually(lambda: all(reread(task).status == "PROCESSING" for task in tasks) and reread(tasks[0]).begun)

    (child,) = worker.workers()
    os.kill(child, signal.SIGKILL)

    done = [wait_for_status(task, "COMPLETED", 60) for task in tasks]
    assert [(task.attempts, task.lost_leases) for task in done] == [(2, 1), (1, 0), (1, 0), (1, 0)]
    assert Counter(read(journal))["start t0"] == 2 and len(read(journal)) == 9


@pytest.mark.long
def test_stopped_in_order_while_cut_off_it_leaves_everything_to_its_successor(
    start_remote, proxy, slow, journal, store
):
    budget = ["--concurrency", "1", "--prefetch", "3", "--offline-for", "10m"]
    tasks = [slow(f"t{number}", 1) for number in range(4)]
    first = start_remote(*budget)
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
