"""Caps under random interleavings of claims, ends, losses, cancellations, changes and the clock.

A shadow knows until when each attempt may be running; no more may run than a cap allows.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle, limit_line, limits, queues
from tasks.domain.lease import Lease
from tasks.domain.limits import Kind
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.handling import registry
from tasks.models import LimitWaiter, Task
from tests.integration.tasks.machines import REPORTS, AttemptMachine, explore
from tests.support.factories import (
    LEASE,
    POLICY,
    claim,
    create,
    lease_of,
    no_jitter,
    settle,
)

QUEUE_CAP, KEY_CAP = 3, 2
KEYS = ["ann", "bob", None]


class CapMachine(AttemptMachine):
    """`live` has the attempts that may be running, each with the end of its lease; `where` the queue and key of each."""

    def __init__(self) -> None:
        super().__init__()
        self.where: dict[Lease, tuple[str, str | None]] = {}
        queues.forget_known()  # the rows of the example before were rolled back
        queues.ensure(["default", "other"], self.now)
        queues.configure("default", {"concurrency_limit": QUEUE_CAP})
        limits.forget_known()

    def teardown(self) -> None:
        super().teardown()
        limits.forget_known()

    @initialize()
    def some_run_and_some_wait(self) -> None:
        for key in ("ann", "ann", "ann", "bob", None):
            self.ids.append(create(self.now, limit_key=key, max_retries=1).pk)
        self.claim("default", None)

    # --- what can happen ---

    @precondition(lambda self: len(self.ids) < 9)
    @rule(key=st.sampled_from(KEYS), queue=st.sampled_from(["default", "other"]), priority=st.sampled_from([1, 5]))
    def create(self, key: str | None, queue: str, priority: int) -> None:
        task = create(self.now, limit_key=key, queue=queue, priority=priority, max_retries=1)
        self.ids.append(task.pk)

    @rule(queue=st.sampled_from(["default", "other"]), only=st.sampled_from([*KEYS, "all"]))
    def claim(self, queue: str, only: str | None) -> None:
        asked = [task for task in self.rows() if task.queue == queue and only in (None, "all", task.limit_key)]
        ready = {task.pk for task in asked if task.status == TaskStatus.QUEUED}
        won = claim(asked, self.now) if asked else []
        for task in won:
            lease = lease_of(task)
            self.leases.append(lease)
            self.live[lease], self.where[lease] = self.now + LEASE, (task.queue, task.limit_key)
        for pk in ready - {task.pk for task in won}:
            assert (self.row(pk).status, self.row(pk).hold) == (TaskStatus.PENDING, Hold.LIMIT)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), kind=st.sampled_from(sorted(REPORTS)))
    def report(self, data: st.DataObject, kind: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        (verdict,) = settle(REPORTS[kind](lease), now=self.now)
        if verdict is OutcomeVerdict.ACCEPTED:
            self.live.pop(lease, None)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), verb=st.sampled_from(["release", "forfeit"]))
    def give_up(self, data: st.DataObject, verb: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        before = self.row(lease.task_id)
        if verb == "release":
            lifecycle.release([lease], self.now)
        else:
            lifecycle.forfeit([lease], POLICY, no_jitter, self.now)
        if before is not None and (before.fencing_token, before.claim_id) == (lease.fencing_token, lease.claim_id):
            self.live.pop(lease, None)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "retry", "delete", "put off", "other key", "move", "urgent"]))
    def ask(self, data: st.DataObject, verb: str) -> None:
        pk = data.draw(st.sampled_from(self.ids))
        verbs = {
            "cancel": lambda: lifecycle.cancel(pk, self.now),
            "retry": lambda: lifecycle.retry(pk, self.now),
            "delete": lambda: lifecycle.delete(pk, self.now),
            "put off": lambda: lifecycle.update(pk, {"scheduled_at": self.now + timedelta(seconds=3)}, self.now),
            "other key": lambda: lifecycle.update(pk, {"limit_key": "bob"}, self.now),
            "move": lambda: lifecycle.update(pk, {"queue": "other"}, self.now),
            "urgent": lambda: lifecycle.update(pk, {"priority": 20}, self.now),
        }
        with suppress(Conflict):
            verbs[verb]()
            if verb == "delete":
                self.ids.remove(pk)

    @rule()
    def keep(self) -> None:
        """The duty leaves nobody waiting for a place that is free, unless somebody is ready to take it."""
        lifecycle.fill_places(limit_line.awaited(Kind.CAP, "", 100), self.now)
        awaited = limit_line.awaited(Kind.CAP, "", 100)
        running = limit_line.running(awaited, self.now)
        ready = Task.objects.filter(status=TaskStatus.QUEUED).exists()
        assert all(ready or running[cap] >= limits.of(cap).cap for cap in awaited)

    # --- what is always true ---

    @invariant()
    def no_more_attempts_may_run_than_a_cap_allows(self) -> None:
        inside = [self.where[lease] for lease, until in self.live.items() if until > self.now]
        assert sum(queue == "default" for queue, _ in inside) <= QUEUE_CAP
        assert all(count <= KEY_CAP for key, count in Counter(key for _, key in inside).items() if key is not None)

    @invariant()
    def lines_agree_with_rows(self) -> None:
        waiting = {task.pk: (task.queue, task.rank) for task in self.rows() if task.hold == Hold.LIMIT}
        rows = LimitWaiter.objects.values_list("task_id", "queue", "rank")
        assert {task_id: (queue, rank) for task_id, queue, rank in rows} == waiting
        assert not [task for task in self.rows() if task.capped and task.lease_expires_at is None]


@pytest.fixture
def _one_handler_with_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_handlers", {})

    @registry.task("job", max_running=KEY_CAP, per="{account}")
    def job(account: str | None = None) -> None: ...


@pytest.mark.usefixtures("_one_handler_with_a_cap")
def test_random_interleavings():
    explore(CapMachine, examples=20, steps=30)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("_one_handler_with_a_cap")
def test_many_random_interleavings():
    explore(CapMachine, examples=100, steps=60)
