"""Limits with real workers: handlers say in a journal when they begin and end."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import pairwise

import pytest

from tests.e2e.conftest import LEASE_SECONDS, all_completed, emptied_again_and_again, reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.waiting import eventually

HANDLERS = {"DTQ_HANDLERS": "tests.e2e.limit_handlers"}
RATE, BURST, MINUTE = 10, 20, 60


def most_inside(lines: list[str]) -> dict[str, int]:
    """How many were there at a time at most, for each place."""
    inside: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for line in lines:
        what, where, _ = line.split()
        inside[where] += 1 if what == "start" else -1
        most[where] = max(most[where], inside[where])
    return dict(most)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_over_a_minute_four_worker_processes_start_what_the_rate_allows(
    start_worker, start_scheduler, enqueue_many, journal
):
    start_scheduler()
    start_worker("--processes", "4", "--concurrency", "2", **HANDLERS)
    enqueue_many("call", [{"journal": str(journal)}] * 800)
    unlimited = enqueue_many("free", [{"journal": str(journal)}] * 50)

    eventually(lambda: all_completed(unlimited), 10)
    eventually(lambda: len(read(journal)) > 50 + BURST + RATE * MINUTE, 2 * MINUTE, every_seconds=1)

    calls = sorted(float(line.split()[1]) for line in read(journal) if line.startswith("call"))
    in_a_minute = sum(moment < calls[0] + MINUTE for moment in calls)
    expected = BURST + RATE * MINUTE
    pauses = [(round(moment - calls[0], 1), round(moment - before, 2)) for before, moment in pairwise(calls)]
    longest = sorted(pauses, key=lambda pause: -pause[1])[:20]
    assert abs(in_a_minute - expected) <= 0.02 * expected, (
        f"{in_a_minute}; the longest pauses were at {sorted(longest)}"
    )
    at_once = max(sum(begin <= moment < begin + 0.5 for moment in calls) for begin in calls)
    assert at_once <= BURST + RATE  # half of which is what comes back, the rest for who begins a little later


def test_no_more_run_than_a_cap_allows_while_redis_is_emptied_again_and_again(
    start_worker, start_scheduler, enqueue_many, journal, redis_server
):
    start_scheduler()
    start_worker("--processes", "2", "--concurrency", "6", **HANDLERS)
    with emptied_again_and_again(redis_server):
        tasks = enqueue_many("capped", [{"journal": str(journal), "seconds": 0.05}] * 30)
        accounts = [{"journal": str(journal), "account": f"a{n % 3}", "seconds": 0.05} for n in range(45)]
        tasks += enqueue_many("per-account", accounts)
        eventually(lambda: all_completed(tasks), 90)

    lines = read(journal)
    assert {where: most <= (3 if where == "all" else 2) for where, most in most_inside(lines).items()} == dict.fromkeys(
        ("all", "a0", "a1", "a2"), True
    )
    assert Counter(line.split()[0] for line in lines) == {"start": 75, "end": 75}


def test_tasks_that_wait_hold_up_nobody_and_follow_at_once(start_worker, start_scheduler, enqueue_many, journal):
    start_scheduler()
    start_worker("--concurrency", "4", **HANDLERS)
    running = enqueue_many("per-account", [{"journal": str(journal), "account": "ann", "seconds": 2}] * 3)
    free = enqueue_many("free", [{"journal": str(journal)}] * 5)

    eventually(lambda: all_completed(free))
    waiting = [task for task in map(reread, running) if (task.status, task.hold) == ("PENDING", "limit")]

    assert len(waiting) == 1
    done = [wait_for_status(task, "COMPLETED") for task in running]
    last = next(task for task in done if task.pk == waiting[0].pk)
    first_end = min(task.completed_at for task in done if task.pk != last.pk)
    assert 0 <= (last.started_at - first_end).total_seconds() < 1
    assert [task.attempts for task in done] == [1, 1, 1]


def test_a_killed_worker_keeps_its_places_until_its_lease_has_ended_and_no_longer(
    start_worker, start_scheduler, enqueue_many, journal
):
    start_scheduler()
    worker = start_worker("--concurrency", "3", **HANDLERS)
    victims = enqueue_many("capped", [{"journal": str(journal), "seconds": 60}] * 3, max_retries=0)
    eventually(lambda: len(read(journal)) == 3)
    for pid in worker.members():
        os.kill(pid, signal.SIGKILL)
    lease_ends_at = min(reread(task).lease_expires_at for task in victims)
    start_worker("--concurrency", "3", **HANDLERS)
    (waiting,) = enqueue_many("capped", [{"journal": str(journal)}])

    done = wait_for_status(waiting, "COMPLETED")

    assert done.started_at >= lease_ends_at
    assert (done.started_at - lease_ends_at).total_seconds() < 2 * LEASE_SECONDS + 3
