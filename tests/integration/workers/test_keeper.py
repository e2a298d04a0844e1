"""What the keeper of leases does with the tables of its worker processes, against real rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from dtq_site.foundation.clock import LeaseTimer
from tests.integration.workers.keeper_bench import LEASE, Bench, make, reread
from tests.support.waiting import eventually
from workers.runtime.held_table import Life, State


@pytest.fixture
def process() -> Iterator[int]:
    """A process that the table may belong to."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield sleeper.pid
    sleeper.kill()
    sleeper.wait()


@pytest.fixture
def bench(process: int) -> Bench:
    return Bench(process)


def test_a_lease_is_extended_once_it_has_some_age(bench):
    old = make()
    (attempt,) = bench.claim(old, age=4)
    young = make()
    bench.claim(young)
    before = {task.pk: reread(task).lease_expires_at for task in (old, young)}

    bench.round(renewing=True)

    assert reread(old).lease_expires_at > before[old.pk]
    assert reread(young).lease_expires_at == before[young.pk]
    assert LeaseTimer(0).remaining_seconds(bench.table.renewed(attempt.row), 15) > 14


def test_a_short_lease_of_a_claim_is_made_long_at_the_next_look_unless_its_task_has_ended(bench, monkeypatch):
    short, ended, long = make(), make(), make()
    attempts = {attempt.lease.task_id: attempt for attempt in bench.claim(short, ended, long)}
    for task in (short, ended):
        bench.table.lease_seconds[attempts[task.pk].row] = 5.0
    bench.run(attempts[ended.pk])
    bench.held.finish(attempts[ended.pk])
    asked = []
    renew = bench.transport.renew
    monkeypatch.setattr(bench.transport, "renew", lambda leases, length: asked.append(leases) or renew(leases, length))

    bench.round()
    bench.round()

    assert asked == [[attempts[short.pk].lease]]
    assert bench.table.lease_seconds[attempts[short.pk].row] == LEASE.total_seconds()


def test_nothing_is_renewed_for_a_process_that_is_stopped(bench, process):
    task = make()
    bench.run(*bench.claim(task, age=4))
    before = reread(task).lease_expires_at
    os.kill(process, signal.SIGSTOP)
    eventually(lambda: psutil.Process(process).status() == psutil.STATUS_STOPPED)

    bench.round(renewing=True)
    assert reread(task).lease_expires_at == before

    os.kill(process, signal.SIGCONT)
    eventually(lambda: psutil.Process(process).status() != psutil.STATUS_STOPPED)
    bench.round(renewing=True)
    assert reread(task).lease_expires_at > before


def test_a_cancelled_and_a_lost_task_are_told_apart(bench):
    from dtq_site.foundation.database import database_clock
    from tasks import lifecycle
    from tests.support.factories import reap

    lost = make()
    (attempt_of_lost,) = bench.claim(lost, age=4)
    reap(database_clock.now() + 2 * LEASE)
    reaped = reread(lost)
    cancelled = make(priority=9)
    attempt_of_cancelled = next(each for each in bench.claim(cancelled, age=4) if each.lease.task_id == cancelled.pk)
    lifecycle.cancel(cancelled.pk, database_clock.now())

    bench.round(renewing=True)

    assert (attempt_of_cancelled.cancelled, attempt_of_cancelled.to_end) == (True, True)
    assert (attempt_of_lost.cancelled, attempt_of_lost.to_end) == (False, True)
    assert reread(lost) == reaped
    assert sorted(bench.names()) == ["lease.lost", "task.cancel_heard"]


def test_a_start_is_noted_after_a_while_and_once(bench):
    short, long = make(), make()
    first, second = bench.claim(short, long)
    bench.run(first, seconds=0.1)
    bench.run(second, seconds=0.3)

    bench.round()

    assert (reread(short).begun, reread(long).begun) == (False, True)
    assert (first.begun, second.begun) == (False, True)


def test_what_waits_too_long_is_given_back_and_keeps_its_place(bench):
    late, fresh = make(), make()
    (waiting,) = bench.claim(late, age=0.06)
    bench.held.line_up([waiting])
    (just,) = bench.claim(fresh)
    bench.held.line_up([just])

    bench.round()

    given_back = reread(late)
    assert (given_back.status, given_back.attempts, given_back.rank) == ("QUEUED", 0, late.rank)
    assert bench.table.state[waiting.row] == State.RETURNED
    assert reread(fresh).status == "PROCESSING" and bench.held.next_in_line() is just


def test_a_handler_that_outlives_its_limit_costs_its_process(bench):
    hanging, neighbour = make(timeout_seconds=1.0), make()
    first, second = bench.claim(hanging, neighbour)
    bench.run(first, seconds=2.9)
    bench.run(second)

    bench.round()
    assert (bench.table.retiring, bench.table.doomed) == (False, False)

    bench.run(first, seconds=3.1)
    bench.round()
    assert (bench.table.retiring, bench.table.doomed) == (True, False)
    assert bench.names() == ["handler.hangs"]

    bench.held.finish(second)
    bench.round()
    assert not bench.table.doomed  # the neighbour's outcome is on its way

    bench.held.remove(second.lease)
    bench.round()
    assert bench.table.doomed


def test_a_doomed_process_leaves_a_failure_and_no_loss(bench):
    task = make(timeout_seconds=1.0)
    (attempt,) = bench.claim(task)
    bench.run(attempt, seconds=3.1)
    bench.round()
    bench.table.life = Life.DEAD

    bench.round()

    failed = reread(task)
    assert (failed.status, failed.failures, failed.lost_leases) == ("PENDING", 1, 0)
    assert failed.error.startswith("TimeLimitExceeded: the attempt ran longer than its limit of 1 s, did not end")
    assert (bench.table.life, bench.table.rows()) == (Life.NONE, [])


def test_of_a_dead_process_what_had_begun_is_lost_and_what_had_not_is_free(bench):
    tasks = [make() for _ in range(5)]
    waiting, starting, given_up, running, ended = bench.claim(*tasks)
    bench.held.line_up([waiting])
    bench.held.finish(given_up)
    bench.run(running)
    bench.run(ended)
    bench.held.finish(ended)
    bench.table.life = Life.DEAD
    assert bench.table.state[starting.row] == State.STARTING

    bench.round()

    after = [reread(task) for task in tasks]
    assert [task.status for task in after] == ["QUEUED"] * 5
    assert [(task.attempts, task.lost_leases) for task in after] == [(0, 0), (0, 0), (0, 0), (1, 1), (1, 1)]
    assert bench.table.life is Life.NONE


def test_what_a_dead_process_has_kept_on_disk_is_left_to_who_finds_it(bench):
    task = make()
    (attempt,) = bench.claim(task)
    bench.run(attempt)
    bench.held.finish(attempt)
    bench.kept = {attempt.lease}
    bench.table.life = Life.DEAD
    before = reread(task)

    bench.round()

    assert vars(reread(task)) | {"_state": None} == vars(before) | {"_state": None}
    assert bench.table.life is Life.NONE


def test_a_process_that_ended_as_it_was_told_to_loses_nothing(bench):
    task = make()
    bench.run(*bench.claim(task))
    bench.table.life = Life.ENDED

    bench.round()

    given_back = reread(task)
    assert (given_back.status, given_back.attempts, given_back.lost_leases) == ("QUEUED", 0, 0)


def test_what_is_settled_for_a_dead_process_is_another_workers_business_no_more(bench):
    from dtq_site.foundation.database import database_clock
    from tests.support.factories import OTHER_WORKER, claim, reap

    task = make()
    bench.run(*bench.claim(task))
    reap(database_clock.now() + 2 * LEASE)
    (won,) = claim([reread(task)], database_clock.now(), worker=OTHER_WORKER)
    bench.table.life = Life.DEAD

    bench.round()

    kept = reread(task)
    assert (kept.status, kept.lease_owner, kept.fencing_token) == ("PROCESSING", OTHER_WORKER, won.fencing_token)
    assert bench.table.life is Life.NONE


def test_the_keeper_goes_on_by_itself(bench):
    task = make()
    bench.run(*bench.claim(task), seconds=1)
    bench.keeper.start()

    eventually(lambda: reread(task).begun)

    bench.keeper.stop()
    assert bench.keeper.join(5)
