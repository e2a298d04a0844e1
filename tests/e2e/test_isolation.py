"""What handlers cannot do to their leases, their neighbours and their worker."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.conftest import LEASE_SECONDS, reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.waiting import eventually

ISOLATION = {"DTQ_HANDLERS": "tests.e2e.isolation_handlers", "DTQ_HARD_LIMIT_AFTER": "1s"}


@pytest.fixture
def nap(enqueue, journal):
    """Enqueue a nap by its word."""
    return lambda word, seconds=0.0: enqueue("nap", {"journal": str(journal), "word": word, "seconds": seconds})


@pytest.mark.long
def test_a_handler_that_holds_the_interpreter_keeps_its_lease(start_worker, start_scheduler, enqueue, journal):
    start_scheduler()
    start_worker(**ISOLATION)

    held = enqueue("hold-interpreter", {"journal": str(journal), "seconds": 3 * LEASE_SECONDS})

    done = wait_for_status(held, "COMPLETED")
    assert (done.attempts, done.lost_leases, done.fencing_token) == (1, 0, 1)
    assert read(journal) == ["start hold", "end hold"]


def test_what_waits_behind_a_held_interpreter_is_given_back_and_runs_elsewhere(start_worker, journal, nap):
    from accounts.registration import team_named
    from tasks import submission
    from tasks.domain.submission import Request

    start_worker("--concurrency", "1", "--name", "first", **ISOLATION)
    for number in range(20):  # from these it learns that tasks are short, and claims ahead
        wait_for_status(nap(str(number)), "COMPLETED")

    payload = {"journal": str(journal)}
    requests = [Request(name="hold-interpreter", payload=payload | {"seconds": 20}, priority=10)]
    requests += [Request(name="nap", payload=payload | {"word": f"behind {number}"}) for number in range(5)]
    held, *behind = submission.submit(requests, submission.Owner(team_named("default").pk, None))
    eventually(lambda: "start hold" in read(journal))
    start_worker("--concurrency", "1", "--name", "second", **ISOLATION)

    for task in behind:
        assert wait_for_status(task, "COMPLETED", 15).attempts == 1

    assert reread(held).status == "PROCESSING"


def test_a_hanging_handler_is_ended_with_its_process(start_worker, enqueue, journal, nap):
    worker = start_worker("--concurrency", "1", **ISOLATION)
    (process,) = worker.workers()

    dead = wait_for_status(enqueue("hang", {"journal": str(journal)}), "DEAD_LETTER")

    assert dead.error.startswith("TimeLimitExceeded") and (dead.attempts, dead.lost_leases) == (1, 0)
    replaced_by = wait_for_status(nap("after"), "COMPLETED").result
    assert replaced_by != process
    assert worker.terminate() == 0


def test_the_neighbours_of_a_hanging_handler_end_in_peace_and_others_run_meanwhile(start_worker, enqueue, journal, nap):
    worker = start_worker("--concurrency", "3", **ISOLATION)
    (process,) = worker.workers()
    neighbour = nap("neighbour", 6)
    hanging = enqueue("hang", {"journal": str(journal)})
    worker.wait_for("worker.draining")  # from here on it claims no more

    assert wait_for_status(nap("meanwhile"), "COMPLETED").result != process
    assert (reread(neighbour).status, reread(hanging).status) == ("PROCESSING", "PROCESSING")

    done = wait_for_status(neighbour, "COMPLETED")
    assert (done.result, done.attempts, done.lost_leases) == (process, 1, 0)
    assert wait_for_status(hanging, "DEAD_LETTER").attempts == 1
    eventually(lambda: process not in worker.workers())


def test_processes_are_recycled_after_a_number_of_tasks(start_worker, nap):
    worker = start_worker("--concurrency", "2", DTQ_RECYCLE_AFTER_TASKS="5", **ISOLATION)

    done = [wait_for_status(task, "COMPLETED") for task in [nap(str(number), 0.02) for number in range(40)]]

    assert len({task.result for task in done}) >= 3
    assert {task.attempts for task in done} == {1}
    assert worker.terminate() == 0


def test_processes_are_recycled_above_an_amount_of_memory(start_worker, enqueue):
    start_worker("--concurrency", "1", DTQ_RECYCLE_ABOVE_MB="400", **ISOLATION)
    glutton = wait_for_status(enqueue("eat", {"megabytes": 500}), "COMPLETED").result

    def by_another() -> bool:
        return wait_for_status(enqueue("eat", {"megabytes": 0}), "COMPLETED").result != glutton

    eventually(by_another)


@pytest.mark.long
def test_leases_are_kept_when_the_keeper_is_killed(start_worker, start_scheduler, nap):
    start_scheduler()
    worker = start_worker(**ISOLATION)
    task = nap("long", 2.5 * LEASE_SECONDS)
    eventually(lambda: reread(task).status == "PROCESSING")
    (keeper,) = worker.keepers()

    os.kill(keeper, signal.SIGKILL)

    worker.wait_for("keeper.died")
    done = wait_for_status(task, "COMPLETED")
    assert (done.attempts, done.lost_leases) == (1, 0)
    assert worker.terminate() == 0


def test_the_tasks_of_a_killed_process_run_again_at_once(start_worker, nap, journal):
    worker = start_worker("--concurrency", "1", DTQ_LEASE="600s", **ISOLATION)
    task = nap("long", 1)
    eventually(lambda: read(journal) == ["start long"])
    (process,) = worker.workers()

    os.kill(process, signal.SIGKILL)  # long before its start was noted, and with no scheduler to reap it

    done = wait_for_status(task, "COMPLETED", 10)
    assert (done.attempts, done.lost_leases) == (2, 1)


@pytest.mark.long
def test_a_process_suspended_longer_than_its_lease_is_refused_when_it_comes_back(
    start_worker, start_scheduler, nap, journal
):
    start_scheduler()
    worker = start_worker("--name", "suspended", **ISOLATION)
    task = nap("long", 2)
    eventually(lambda: read(journal) == ["start long"])
    (process,) = worker.workers()
    os.kill(process, signal.SIGSTOP)
    start_worker("--name", "other", **ISOLATION)

    done = wait_for_status(task, "COMPLETED", 8 * LEASE_SECONDS)
    os.kill(process, signal.SIGCONT)

    assert done.result != process and (done.attempts, done.fencing_token) == (2, 2)
    worker.wait_for("STALE_LEASE|lease.lost")
    eventually(lambda: read(journal).count("end long") == 2)
    kept = reread(task)
    assert (kept.result, kept.settled_token, kept.version) == (done.result, 2, done.version)
