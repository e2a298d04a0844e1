"""Locks with real workers: handlers say in a journal when they are inside, and no two of a lock ever are."""

from __future__ import annotations

import os
import signal
from collections import Counter

from tests.e2e.conftest import LEASE_SECONDS, all_completed, emptied_again_and_again, reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.waiting import eventually

HANDLERS = {"DTQ_HANDLERS": "tests.e2e.lock_handlers"}


def overlaps(lines: list[str]) -> list[str]:
    """Those who came in while somebody else was inside, or with a number that is not above the last one."""
    inside: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    found = []
    for line in lines:
        what, name, who, number = line.split()
        if what == "end":
            inside.pop(name)
            continue
        if name in inside or int(number) <= numbers[name]:
            found.append(line)
        inside[name], numbers[name] = who, int(number)
    return found


def test_handlers_of_a_lock_never_overlap_while_redis_is_emptied_again_and_again(
    start_worker, start_scheduler, enqueue_many, journal, redis_server
):
    start_scheduler()
    start_worker("--processes", "2", "--concurrency", "4", **HANDLERS)
    with emptied_again_and_again(redis_server):
        tasks = enqueue_many("report", [{"journal": str(journal), "account": f"a{n % 3}"} for n in range(60)])
        plain = enqueue_many("plain", [{"journal": str(journal)}] * 20)
        eventually(lambda: all_completed(plain), 60)
        eventually(lambda: all_completed(tasks), 100)

    lines = [line for line in read(journal) if line != "plain"]
    assert overlaps(lines) == []
    assert Counter(line.split()[0] for line in lines) == {"start": 60, "end": 60}


def test_tasks_that_wait_hold_up_nobody_and_follow_at_once(start_worker, start_scheduler, enqueue_many, journal):
    start_scheduler()
    start_worker("--concurrency", "2", **HANDLERS)
    first, second = enqueue_many("report", [{"journal": str(journal), "account": "a", "seconds": 2}] * 2)
    wait_for_status(first, "PROCESSING")
    plain = enqueue_many("plain", [{"journal": str(journal)}] * 5)

    eventually(lambda: all_completed(plain))
    assert (reread(second).status, reread(second).hold) == ("PENDING", "lock")

    done, following = wait_for_status(first, "COMPLETED"), wait_for_status(second, "COMPLETED")
    assert overlaps([line for line in read(journal) if line != "plain"]) == []
    assert (following.started_at - done.completed_at).total_seconds() < 1
    assert (done.attempts, following.attempts) == (1, 1)
    assert following.result > done.result


def test_a_killed_worker_keeps_its_lock_until_its_lease_has_ended_and_no_longer(
    start_worker, start_scheduler, enqueue_many, journal
):
    start_scheduler()
    worker = start_worker("--concurrency", "1", **HANDLERS)
    victim, waiting = enqueue_many(
        "report",
        [{"journal": str(journal), "account": "a", "seconds": 30}, {"journal": str(journal), "account": "a"}],
    )
    eventually(lambda: read(journal))
    for pid in worker.members():
        os.kill(pid, signal.SIGKILL)
    lease_ends_at = reread(victim).lease_expires_at
    start_worker("--concurrency", "1", **HANDLERS)

    done = wait_for_status(waiting, "COMPLETED")

    assert done.started_at >= lease_ends_at
    assert (done.started_at - lease_ends_at).total_seconds() < 2 * LEASE_SECONDS + 3


def test_a_cancelled_task_keeps_its_lock_until_its_handler_has_stopped(
    start_worker, start_scheduler, enqueue_many, journal
):
    from dtq_site.foundation.database import database_clock
    from tasks import lifecycle

    start_scheduler()
    start_worker("--concurrency", "2", **HANDLERS)
    running, waiting = enqueue_many(
        "report",
        [{"journal": str(journal), "account": "a", "seconds": 60}, {"journal": str(journal), "account": "a"}],
    )
    wait_for_status(waiting, "PENDING")

    lifecycle.cancel(running.pk, database_clock.now())

    wait_for_status(waiting, "COMPLETED")
    lines = read(journal)
    assert [line.split()[0] for line in lines] == ["start", "start", "end"]
    assert wait_for_status(running, "CANCELLED").lease_expires_at is None


def test_locks_of_handlers_own_never_overlap(start_worker, enqueue_many, journal):
    start_worker("--processes", "2", "--concurrency", "6", **HANDLERS)

    tasks = enqueue_many("change-prices", [{"journal": str(journal), "shop": "north"}] * 12)
    tasks += enqueue_many("change-prices-async", [{"journal": str(journal), "shop": "north"}] * 12)
    eventually(lambda: all_completed(tasks), 100)

    assert overlaps(read(journal)) == []
    assert len({reread(task).result for task in tasks}) == 24
