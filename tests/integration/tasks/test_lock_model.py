"""Locks under random interleavings of claims, ends, losses, cancellations, changes and the clock.

A shadow knows until when each attempt may be running and what it has taken; no two that may run have the same lock.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
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
from tasks import lifecycle
from tasks.domain.lease import Lease
from tasks.domain.locks import LockVerdict
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.models import LockWaiter, NamedLock, Task
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

NAMES = ["a", "b"]


class LockMachine(AttemptMachine):
    """`live` has the attempts that may be running, each with the end of its lease; `taken` the locks of each."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[Lease, set[str]] = {}
        self.numbers = dict.fromkeys(NAMES, 0)

    @initialize()
    def some_run_and_some_wait(self) -> None:
        self.ids += [create(self.now, lock=lock, max_retries=1).pk for lock in ("a", "a", "b", "a")]
        self.claim_all(self.rows())

    # --- what can happen ---

    @precondition(lambda self: len(self.ids) < 6)
    @rule(lock=st.sampled_from([*NAMES, None]), priority=st.sampled_from([1, 5]), claimed=st.booleans())
    def create(self, lock: str | None, priority: int, claimed: bool) -> None:
        task = create(self.now, lock=lock, priority=priority, max_retries=1)
        self.ids.append(task.pk)
        if claimed:
            self.claim_all([task])

    @rule(only=st.sampled_from([None, *NAMES]))
    def claim(self, only: str | None) -> None:
        self.claim_all([task for task in self.rows() if only in (None, task.lock)])

    def claim_all(self, asked: list[Task]) -> None:
        if not asked:
            return
        ready = {task.pk for task in asked if task.status == TaskStatus.QUEUED}

        won = claim(asked, self.now)

        for task in won:
            lease = lease_of(task)
            self.leases.append(lease)
            self.live[lease], self.taken[lease] = self.now + LEASE, set()
            if task.lock is not None:
                self.note(lease, task.lock, task.lock_fencing_number)
        for pk in ready - {task.pk for task in won}:
            assert (self.row(pk).status, self.row(pk).hold) == (TaskStatus.PENDING, Hold.LOCK)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def take(self, data: st.DataObject, name: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        answer = lifecycle.take_lock(lease, name, self.now)

        assert (answer.verdict is LockVerdict.LOST) == (not self.runs(lease))
        if answer.verdict is LockVerdict.TAKEN and name not in self.taken[lease]:
            self.note(lease, name, answer.fencing_number)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def free(self, data: st.DataObject, name: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        held = lease in self.live and name in self.taken[lease]
        freed = lifecycle.free_lock(lease, name, self.now)

        assert freed or not held or self.live[lease] <= self.now, "what an attempt may trust in was taken from it"
        self.taken[lease].discard(name)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), kind=st.sampled_from(sorted(REPORTS)), told=st.booleans())
    def report(self, data: st.DataObject, kind: str, told: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        (verdict,) = settle(replace(REPORTS[kind](lease), locked=told), now=self.now)
        if verdict is OutcomeVerdict.ACCEPTED:
            self.live.pop(lease, None)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        if lifecycle.release([lease], self.now):
            self.live.pop(lease, None)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def forfeit(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        before = self.row(lease.task_id)
        lifecycle.forfeit([lease], POLICY, no_jitter, self.now)
        if before is not None and (before.fencing_token, before.claim_id) == (lease.fencing_token, lease.claim_id):
            self.live.pop(lease, None)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), deletes=st.booleans())
    def cancel_one_that_runs(self, data: st.DataObject, deletes: bool) -> None:
        pk = data.draw(st.sampled_from(sorted(self.live, key=str))).task_id
        if pk in self.ids:
            self.change(pk, "cancel")
            if deletes:
                self.change(pk, "delete")

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "retry", "delete", "put off", "other lock", "urgent"]))
    def ask(self, data: st.DataObject, verb: str) -> None:
        self.change(data.draw(st.sampled_from(self.ids)), verb)

    def change(self, pk: uuid.UUID, verb: str) -> None:
        verbs = {
            "cancel": lambda: lifecycle.cancel(pk, self.now),
            "retry": lambda: lifecycle.retry(pk, self.now),
            "delete": lambda: lifecycle.delete(pk, self.now),
            "put off": lambda: lifecycle.update(pk, {"scheduled_at": self.now + timedelta(seconds=3)}, self.now),
            "other lock": lambda: lifecycle.update(pk, {"lock": "b"}, self.now),
            "urgent": lambda: lifecycle.update(pk, {"priority": 20}, self.now),
        }
        with suppress(Conflict):
            verbs[verb]()
            if verb == "delete":
                self.ids.remove(pk)

    @rule()
    def keep(self) -> None:
        lifecycle.hand_over(NAMES, self.now)
        self.claim_all(self.rows())

    # --- what is always true ---

    @invariant()
    def no_two_attempts_that_may_run_have_the_same_lock(self) -> None:
        for name in NAMES:
            inside = [lease for lease, until in self.live.items() if until > self.now and name in self.taken[lease]]
            assert len(inside) <= 1, (name, inside)

    @invariant()
    def rows_of_locks_agree_with_rows_of_tasks(self) -> None:
        tasks = {task.pk: task for task in self.rows()}
        for lock in NamedLock.objects.exclude(holder_id=None):
            task = tasks.get(lock.holder_id)
            if lock.ends_at is None:
                assert task is not None and task.status == TaskStatus.PROCESSING
                assert task.fencing_token == lock.holder_token and task.lock_fencing_number > 0
        waiting = {pk: task.lock for pk, task in tasks.items() if task.hold == Hold.LOCK}
        assert dict(LockWaiter.objects.values_list("task_id", "name")) == waiting
        assert {waiter.task_id: waiter.rank for waiter in LockWaiter.objects.all()} == {
            pk: tasks[pk].rank for pk in waiting
        }

    @invariant()
    def whoever_waits_for_a_free_lock_stands_behind_a_task_that_is_ready_for_it(self) -> None:
        free = set(NamedLock.objects.filter(holder_id=None).values_list("name", flat=True))
        ready = set(Task.objects.filter(status=TaskStatus.QUEUED).values_list("lock", flat=True))
        awaited = set(LockWaiter.objects.values_list("name", flat=True))
        assert free & awaited <= ready

    # --- looking ---

    def runs(self, lease: Lease) -> bool:
        task = self.row(lease.task_id)
        return task is not None and task.status == TaskStatus.PROCESSING and lease_of(task) == lease

    def note(self, lease: Lease, name: str, number: int) -> None:
        assert number > self.numbers[name], "a number went back"
        self.numbers[name] = number
        self.taken[lease].add(name)


def test_random_interleavings():
    explore(LockMachine, examples=20, steps=30)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_random_interleavings():
    explore(LockMachine, examples=100, steps=60)
