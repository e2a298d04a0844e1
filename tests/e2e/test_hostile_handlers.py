"""What a worker survives of its handlers, and what its supervisor survives of its workers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.support.waiting import eventually

HOSTILE = {"DTQ_HANDLERS": "tests.e2e.hostile_handlers"}


def test_odd_ends_of_attempts_are_recorded_and_cost_no_slot(start_worker, enqueue):
    worker = start_worker("--concurrency", "1", **HOSTILE)

    for name in ("unspeakable", "unspeakable-async", "close-connection", "exit-async"):
        ended = wait_for_status(enqueue(name), "DEAD_LETTER")
        assert ended.error != "" and ended.attempts == 1

    for name in ("fine", "fine-async"):
        assert wait_for_status(enqueue(name), "COMPLETED").result == "fine"
    assert worker.running


def test_a_handler_that_says_it_was_cancelled_has_failed(start_worker, start_scheduler, enqueue):
    start_scheduler()
    start_worker(RETRY_BACKOFF="50", **HOSTILE)

    dead = wait_for_status(enqueue("claim-cancelled", max_retries=1), "DEAD_LETTER")

    assert (dead.attempts, dead.failures) == (2, 2)


def test_a_connection_left_in_a_transaction_swallows_no_later_task(start_worker, enqueue):
    from tasks.models import Task

    start_worker("--concurrency", "1", **HOSTILE)
    wait_for_status(enqueue("leave-transaction"), "COMPLETED")

    parent = wait_for_status(enqueue("spawn"), "COMPLETED")

    wait_for_status(Task.objects.get(pk=parent.result), "COMPLETED")


def test_an_async_handler_creates_tasks(start_worker, enqueue):
    from tasks.models import Task

    start_worker(**HOSTILE)

    parent = wait_for_status(enqueue("spawn-async"), "COMPLETED")

    wait_for_status(Task.objects.get(pk=parent.result), "COMPLETED")


def test_a_handler_that_forks_is_one_attempt_with_one_outcome(start_worker, enqueue):
    worker = start_worker(**HOSTILE)

    forked = wait_for_status(enqueue("fork-and-return"), "COMPLETED")

    assert forked.result > 0
    assert wait_for_status(enqueue("fine"), "COMPLETED").attempts == 1
    assert worker.terminate() == 0


def test_a_process_that_a_handler_left_blinds_nobody(start_worker, enqueue):
    worker = start_worker(**HOSTILE)
    left = wait_for_status(enqueue("leave-a-fork"), "COMPLETED").result
    child = next(pid for pid in worker.workers() if pid != left)

    os.kill(child, signal.SIGKILL)

    worker.wait_for("worker.died")
    assert wait_for_status(enqueue("fine"), "COMPLETED").attempts == 1
    assert worker.terminate(10) == 0


@pytest.mark.parametrize("milliseconds", [0, 20, 60])
def test_sigterm_while_children_start_ends_them_all(processes, committed_db, redis_server, milliseconds):
    worker = processes.manage("runworker", "--processes", "6", **HOSTILE)
    eventually(worker.keepers)
    time.sleep(milliseconds / 1000)

    assert worker.terminate(20) == 0
    assert worker.members() == []


def test_a_forced_end_gives_back_hundreds_of_tasks(start_worker, enqueue):
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.models import Task

    worker = start_worker("--concurrency", "700", **HOSTILE)
    owner = submission.Owner(team_named("default").pk, None)
    submission.submit([Request(name="sleep-async", payload={"seconds": 300})] * 600, owner)
    eventually(lambda: Task.objects.filter(status="PROCESSING").count() == 600, 30)

    worker.signal(signal.SIGTERM)
    worker.wait_for("worker.draining")
    code = worker.terminate(30)

    assert code == 4
    assert Task.objects.filter(status="QUEUED", attempts=0).count() == 600


def test_results_that_fill_a_packet_hold_up_nobody(start_worker, enqueue):
    start_worker("--concurrency", "50", DTQ_HANDLERS="tests.e2e.bulky_handlers")

    bulky = [enqueue("bulky", {"size": 250_000}) for _ in range(100)]

    for task in bulky:
        assert len(wait_for_status(task, "COMPLETED", 60).result) == 250_000
    assert all(reread(task).attempts == 1 for task in bulky)
