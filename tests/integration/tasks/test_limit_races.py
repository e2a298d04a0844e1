"""Many who claim tasks of the same limits at once: never more of them run than may, and all have run in the end."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta

import pytest

from dtq_site.foundation.database import database_clock
from tasks import lifecycle, limit_line, limits, queues
from tasks.domain.lease import LeasedTask
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.domain.states import Hold, TaskStatus
from tasks.handling import registry
from tasks.models import LimitWaiter, Task
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.integration.tasks.test_lock_races import patiently
from tests.support.factories import (
    after,
    claim,
    completed,
    create,
    in_own_connection,
    lease_of,
    make_team,
    new_task,
    reread,
    settle,
)
from workers import gateway
from workers.gateway import Caller

LEASE = timedelta(seconds=60)
QUEUE_CAP, KEY_CAP = 4, 2
KEYS = ("ann", "bob", "cid")
NAMES = frozenset({"job", "plain"})


class Witness:
    """Sees how many are inside of what."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.seen = 0

    @contextmanager
    def inside(self, *places: str) -> Iterator[None]:
        with self._lock:
            self.seen += 1
            for place in places:
                self._inside[place] += 1
                self.most[place] = max(self.most[place], self._inside[place])
        time.sleep(0.002)
        yield
        with self._lock:
            self._inside.subtract(places)


def work(witness: Witness, total: int, stop: threading.Event, team_id: uuid.UUID | None) -> None:
    """A worker: claim a few tasks, run them all at once, report each."""
    caller = Caller(uuid.uuid4(), NAMES, team_id=team_id)
    while not stop.is_set() and witness.seen < total:
        won = patiently(lambda: gateway.claim(caller, uuid.uuid4(), 3, LEASE))
        run(witness, won)
        if not won:
            time.sleep(0.005)


def run(witness: Witness, won: list[LeasedTask]) -> None:
    """Be inside with all of them, leave one by one."""
    if not won:
        return
    first, *others = won
    with witness.inside("queue", *([first.payload["account"]] if first.name == "job" else [])):
        run(witness, others)
    outcome = Outcome(first.lease, OutcomeKind.COMPLETED, 0.001)
    assert patiently(lambda: gateway.report([outcome]))[first.lease] in ("ACCEPTED", "DUPLICATE")


def keep(stop: threading.Event) -> None:
    """The duties that matter here."""
    while not stop.wait(0.2):
        patiently(lambda: lifecycle.fill_places(limit_line.awaited(Kind.CAP, "", 100), database_clock.now()))
        patiently(Reconciliation(redis_index(), "default").ensure_whole)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("flushes", "bound_to_team"), [(False, False), (True, False), (False, True)])
def test_of_eight_workers_no_more_run_than_the_caps_allow(flushes, bound_to_team, redis_server, monkeypatch):
    monkeypatch.setattr(registry, "_handlers", {})

    @registry.task("job", max_running=KEY_CAP, per="{account}")
    def job(account: str) -> None: ...

    queues.ensure(["default"], database_clock.now())
    queues.configure("default", {"concurrency_limit": QUEUE_CAP})
    limits.forget_known()
    keyed = [{"payload": {"account": KEYS[n % 3]}, "limit_key": KEYS[n % 3]} for n in range(120)]
    plain = [{"name": "plain"}] * 30
    lifecycle.create([new_task(**fields) for fields in (*keyed, *plain)], database_clock.now())
    Reconciliation(redis_index(), "default").ensure_whole()
    witness, stop, total = Witness(), threading.Event(), 150
    team_id = make_team().pk if bound_to_team else None

    with ThreadPoolExecutor(9) as pool:
        keeper = pool.submit(in_own_connection, lambda: keep(stop))
        workers = [pool.submit(in_own_connection, lambda: work(witness, total, stop, team_id)) for _ in range(8)]
        try:
            while flushes and witness.seen < total and not all(worker.done() for worker in workers):
                redis_server.flushall()
                time.sleep(0.05)
            for worker in workers:
                worker.result(200)
        finally:
            stop.set()
        keeper.result(30)

    assert witness.most["queue"] <= QUEUE_CAP
    assert all(witness.most[key] <= KEY_CAP for key in KEYS)
    assert Counter(Task.objects.values_list("status", "attempts")) == {(TaskStatus.COMPLETED, 1): total}
    assert (LimitWaiter.objects.count(), Task.objects.filter(capped=True).count()) == (0, 0)


def test_one_worker_alone_needs_no_duty_to_fill_places(redis_server, monkeypatch):
    monkeypatch.setattr(registry, "_handlers", {})
    limits.configure_handler("plain", {"concurrency_limit": 1})
    lifecycle.create([new_task(name="plain") for _ in range(20)], database_clock.now())
    Reconciliation(redis_index(), "default").ensure_whole()
    witness, stop = Witness(), threading.Event()

    begun = time.monotonic()
    work(witness, 20, stop, None)

    assert (witness.most["queue"], Task.objects.filter(status=TaskStatus.COMPLETED).count()) == (1, 20)
    assert time.monotonic() - begun < 10


def test_a_task_that_waits_anew_while_it_is_woken_for_its_old_place_keeps_its_new_one(monkeypatch):
    queues.ensure(["default"], database_clock.now())
    queues.configure("default", {"concurrency_limit": 1, "rate_limit": "1/h", "burst": 1})
    limits.forget_known()
    first, task = create(), create()
    (running,) = claim([first, task])
    cap, read, leave = Limit(Kind.CAP, Scope.QUEUE, "default"), limit_line.first_in_line, limit_line.leave_line

    def read_before_the_end(limit: Limit, *counts: int) -> list[uuid.UUID]:
        return [first.pk, task.pk] if limit == cap else read(limit, *counts)

    with ThreadPoolExecutor(1) as pool:
        claims = []

        def leave_late(task_ids: list[uuid.UUID]) -> None:
            if not claims:
                claims.append(pool.submit(in_own_connection, lambda: claim([task], after(2))))
                wait(claims, timeout=1)
            leave(task_ids)

        settle(completed(lease_of(running)), now=after(1))
        assert reread(task).status == TaskStatus.QUEUED
        monkeypatch.setattr(limit_line, "first_in_line", read_before_the_end)
        monkeypatch.setattr(limit_line, "leave_line", leave_late)
        lifecycle.fill_places([cap], after(2))
        assert claims[0].result(30) == []

    assert (reread(task).status, reread(task).hold) == (TaskStatus.PENDING, Hold.LIMIT)
    assert list(LimitWaiter.objects.values_list("task_id", "limit")) == [(task.pk, "rate/queue/default")]
