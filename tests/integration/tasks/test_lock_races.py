"""Many who want the same locks at once: never two of them have one, and everybody has had it in the end."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import pytest
from django.db import OperationalError

from dtq_site.foundation.database import database_clock, is_lock_conflict
from tasks import lifecycle
from tasks.domain.lease import LeasedTask
from tasks.domain.locks import LockVerdict
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.domain.states import TaskStatus
from tasks.lock_bell import lock_bell
from tasks.models import LockWaiter, NamedLock, Task
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation
from tests.support.factories import in_own_connection, new_task
from workers import gateway
from workers.gateway import Caller

Answer = TypeVar("Answer")

LEASE = timedelta(seconds=60)
NAMES = ("a", "b", "c")


class Witness:
    """Sees who is inside of what, and keeps whoever was there beside another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self.together: list[str] = []
        self.numbers: dict[str, list[int]] = {name: [] for name in NAMES}
        self.seen = 0

    @contextmanager
    def inside(self, name: str | None, number: int) -> Iterator[None]:
        with self._lock:
            self.seen += 1
            if name is not None:
                self._inside[name] += 1
                self.numbers[name].append(number)
                if self._inside[name] > 1:
                    self.together.append(name)
        time.sleep(0.001)
        yield
        with self._lock:
            if name is not None:
                self._inside[name] -= 1


def work(witness: Witness, total: int, stop: threading.Event) -> None:
    """A worker: claim a few tasks, run each, report it."""
    caller = Caller(uuid.uuid4(), frozenset({"job"}))
    while not stop.is_set() and witness.seen < total:
        won = patiently(lambda: gateway.claim(caller, uuid.uuid4(), 4, LEASE))
        for task in won:
            with witness.inside(task.lock, task.lock_fencing_number):
                pass
            report(task)
        if not won:
            time.sleep(0.005)


def report(task: LeasedTask) -> None:
    outcome = Outcome(task.lease, OutcomeKind.COMPLETED, 0.001, locked=task.lock is not None)
    assert patiently(lambda: gateway.report([outcome]))[task.lease] in ("ACCEPTED", "DUPLICATE")


def keep(stop: threading.Event) -> None:
    """The duties that matter here."""
    while not stop.wait(0.2):
        patiently(lambda: lifecycle.hand_over(NAMES, database_clock.now()))
        patiently(Reconciliation(redis_index(), "default").ensure_whole)


def patiently(call: Callable[[], Answer]) -> Answer:
    """Call again for as long as the database prefers others, as its callers do."""
    while True:
        try:
            return call()
        except OperationalError as error:
            if not is_lock_conflict(error):
                raise
        except IndexLost:
            time.sleep(0.05)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("flushes", [False, True])
def test_eight_workers_run_at_most_one_task_of_a_lock_at_a_time(flushes, redis_server):
    locks = [NAMES[n % 3] if n % 4 else None for n in range(200)]
    lifecycle.create([new_task(lock=lock) for lock in locks], database_clock.now())
    Reconciliation(redis_index(), "default").ensure_whole()
    witness, stop = Witness(), threading.Event()

    with ThreadPoolExecutor(9) as pool:
        keeper = pool.submit(in_own_connection, lambda: keep(stop))
        workers = [pool.submit(in_own_connection, lambda: work(witness, len(locks), stop)) for _ in range(8)]
        try:
            while flushes and witness.seen < len(locks) and not all(worker.done() for worker in workers):
                redis_server.flushall()
                time.sleep(0.05)
            for worker in workers:
                worker.result(200)
        finally:
            stop.set()
        keeper.result(30)

    assert witness.together == []
    assert Counter(Task.objects.values_list("status", "attempts")) == {(TaskStatus.COMPLETED, 1): 200}
    assert all(numbers == sorted(set(numbers)) for numbers in witness.numbers.values())
    assert {name: len(numbers) for name, numbers in witness.numbers.items()} == dict(Counter(filter(None, locks)))
    assert LockWaiter.objects.count() == NamedLock.objects.exclude(holder_id=None).count() == 0


def test_one_worker_alone_needs_no_duty_to_hand_locks_over():
    lifecycle.create([new_task(lock=NAMES[n % 3]) for n in range(30)], database_clock.now())
    Reconciliation(redis_index(), "default").ensure_whole()
    witness, stop = Witness(), threading.Event()

    begun = time.monotonic()
    work(witness, 30, stop)

    assert {name: len(numbers) for name, numbers in witness.numbers.items()} == dict.fromkeys(NAMES, 10)
    assert time.monotonic() - begun < 10


def test_handlers_that_want_one_lock_have_it_one_after_the_other():
    tasks = lifecycle.create([new_task() for _ in range(6)], database_clock.now())
    names = frozenset({"job"})
    Reconciliation(redis_index(), "default").ensure_whole()
    won = gateway.claim(Caller(uuid.uuid4(), names), uuid.uuid4(), 6, LEASE)
    witness = Witness()

    def use(task: LeasedTask) -> None:
        for _ in range(5):
            while (answer := gateway.take_lock(task.lease, "a")).verdict is not LockVerdict.TAKEN:
                gateway.wait_for_lock("a", 1)
            with witness.inside("a", answer.fencing_number):
                pass
            assert gateway.free_lock(task.lease, "a")

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(in_own_connection, lambda task=task: use(task)) for task in won]:
            done.result(60)

    assert len(tasks) == len(won) == 6
    assert (witness.together, len(set(witness.numbers["a"]))) == ([], 30)


def test_a_ring_wakes_one_who_waits_and_one_who_comes_a_moment_later():
    lock_bell().ring(["a"])
    begun = time.monotonic()
    lock_bell().wait("a", 1)
    heard = time.monotonic() - begun

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lock_bell().wait, "a", 1)
        time.sleep(0.1)
        lock_bell().ring(["a"])
        waiting.result(10)

    assert heard < 0.5
    assert time.monotonic() - begun < 0.9
