"""The lifecycle under random interleavings of two workers, an operator, the duties and the clock.

A shadow of each task keeps what has to be true; every answer of a verb is compared with it, and every row after every step.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.errors import Conflict
from tasks import lifecycle
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.models import Task
from tests.support.factories import (
    LEASE,
    OTHER_WORKER,
    POLICY,
    START,
    WORKER,
    ManualClock,
    claim,
    completed,
    create,
    discarded,
    failed,
    lease_of,
    no_jitter,
    settle,
)

REPORTS = {"completed": completed, "failed": failed, "discarded": discarded}
ACCEPTED, DUPLICATE, STALE = OutcomeVerdict.ACCEPTED, OutcomeVerdict.DUPLICATE, OutcomeVerdict.STALE_LEASE


@dataclass
class Shadow:
    """What has to be true of one task."""

    pk: uuid.UUID
    token: int = 0
    attempts: int = 0
    version: int = 0
    live_until: datetime | None = None
    """Until when somebody may be running it: the present holder, or one that has not heard of a cancellation."""
    last_holder: Lease | None = None
    """Who may settle it: the holder, or the last one while nobody has claimed since its lease was lost."""
    begun: bool = False
    settled: dict[int, int] = field(default_factory=dict)


class LifecycleMachine(RuleBasedStateMachine):
    """Every rule is one request of somebody, at the present moment of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.clock = ManualClock(START)
        self.shadows: list[Shadow] = []
        self.leases: list[Lease] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._transaction.__exit__(None, None, None)

    # --- what can happen ---

    @rule(seconds=st.sampled_from([0.5, 2, 5, 16, 100]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: len(self.shadows) < 3)
    @rule(max_retries=st.integers(0, 2), delay=st.sampled_from([None, 0, 3]))
    def create(self, max_retries: int, delay: float | None) -> None:
        due = None if delay is None else self.now + timedelta(seconds=delay)
        self.shadows.append(Shadow(create(self.now, max_retries=max_retries, scheduled_at=due).pk))

    @precondition(lambda self: self.shadows)
    @rule(worker=st.sampled_from([WORKER, OTHER_WORKER]))
    def claim(self, worker: uuid.UUID) -> None:
        before = self.rows()
        won = claim(list(before.values()), self.now, worker=worker)

        assert {task.pk for task in won} == {pk for pk, task in before.items() if task.status == TaskStatus.QUEUED}
        for task in won:
            shadow, old = self.shadow(task.pk), before[task.pk]
            assert shadow.live_until is None or shadow.live_until <= self.now, "two may run it at once"
            assert old.scheduled_at is None or old.scheduled_at <= self.now, "too early"
            assert old.attempts - old.earlier_attempts <= old.max_retries, "beyond its attempts"
            shadow.token += 1
            shadow.attempts += 1
            shadow.live_until, shadow.last_holder, shadow.begun = self.now + LEASE, lease_of(task), False
            self.leases.append(lease_of(task))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        held = self.holds(lease)

        assert lifecycle.mark_begun([lease], self.now) == ({lease} if held else set())
        if held:
            self.shadow(lease.task_id).begun = True

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        shadow, held = self.shadow(lease.task_id), self.holds(lease)

        verdict = lifecycle.renew([lease], LEASE, self.now)[lease]

        assert (verdict is RenewalVerdict.RENEWED) == held
        if held:
            shadow.live_until = self.now + LEASE

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), kind=st.sampled_from(sorted(REPORTS)))
    def report(self, data: st.DataObject, kind: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        shadow, status = self.shadow(lease.task_id), self.row(lease.task_id).status
        held = self.holds(lease)
        late = lease == shadow.last_holder and status in (TaskStatus.QUEUED, TaskStatus.PENDING) and kind == "completed"
        expected = (
            ACCEPTED if held or late else DUPLICATE if self.last_settled(shadow) == lease.fencing_token else STALE
        )

        assert settle(REPORTS[kind](lease), now=self.now) == [expected]
        if expected is ACCEPTED:
            shadow.settled[lease.fencing_token] = shadow.settled.get(lease.fencing_token, 0) + 1
            shadow.attempts += int(late and not shadow.begun)
            shadow.live_until = shadow.last_holder = None

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        shadow, before = self.shadow(lease.task_id), self.row(lease.task_id)
        held = self.holds(lease)
        said_stopped = (before.fencing_token, before.claim_id) == (lease.fencing_token, lease.claim_id)

        lifecycle.release([lease], self.now)

        after = self.row(lease.task_id)
        if held:
            shadow.attempts -= 1
            assert (after.status, after.rank, after.queued_at) == (TaskStatus.QUEUED, before.rank, before.queued_at)
        withdrawn = said_stopped and before.status in (TaskStatus.CANCELLED, TaskStatus.PENDING)
        shadow.attempts -= withdrawn and before.lease_expires_at is not None  # a lost one was judged when it was lost
        if held or withdrawn:
            shadow.live_until = shadow.last_holder = None

    @rule()
    def reap(self) -> None:
        before = self.rows()
        reaped = {task.pk for task in lifecycle.reap(POLICY, no_jitter, self.now)}

        running = {pk for pk, task in before.items() if task.status == TaskStatus.PROCESSING}
        assert reaped == {pk for pk in running if self.shadow(pk).live_until < self.now}
        for pk in reaped:
            shadow, now = self.shadow(pk), self.row(pk)
            shadow.attempts -= int(not shadow.begun)
            shadow.live_until = None
            if now.status == TaskStatus.DEAD_LETTER:
                assert shadow.begun
                shadow.last_holder = None

    @rule()
    def promote(self) -> None:
        before = self.rows()
        lifecycle.promote(self.now)

        for pk, task in before.items():
            live_until = self.shadow(pk).live_until
            free = live_until is None or live_until <= self.now
            due = task.status == TaskStatus.PENDING and task.scheduled_at <= self.now and free
            assert (self.row(pk).status == TaskStatus.QUEUED) == (due or task.status == TaskStatus.QUEUED)
            if due and live_until is not None:
                self.shadow(pk).live_until = None

    @precondition(lambda self: self.shadows)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        shadow = data.draw(st.sampled_from(self.shadows))
        status = self.row(shadow.pk).status

        if status in TERMINAL - {TaskStatus.CANCELLED}:
            with pytest.raises(Conflict):
                lifecycle.cancel(shadow.pk, self.now)
        else:
            assert lifecycle.cancel(shadow.pk, self.now).status == TaskStatus.CANCELLED
            shadow.last_holder = None

    @precondition(lambda self: self.shadows)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        shadow = data.draw(st.sampled_from(self.shadows))
        status = self.row(shadow.pk).status

        if status not in TERMINAL - {TaskStatus.COMPLETED}:
            with pytest.raises(Conflict):
                lifecycle.retry(shadow.pk, self.now)
            return
        lifecycle.retry(shadow.pk, self.now)
        held = shadow.live_until is not None and shadow.live_until > self.now
        assert self.row(shadow.pk).status == (TaskStatus.PENDING if held else TaskStatus.QUEUED)

    @precondition(lambda self: self.shadows)
    @rule(data=st.data(), seconds=st.sampled_from([-1, 0, 4]), priority=st.sampled_from([1, 5, 20]))
    def update(self, data: st.DataObject, seconds: float, priority: int) -> None:
        shadow = data.draw(st.sampled_from(self.shadows))
        changes = {"scheduled_at": self.now + timedelta(seconds=seconds), "priority": priority}
        before = self.row(shadow.pk)

        with suppress(Conflict):
            lifecycle.update(shadow.pk, changes, self.now)
        changed = self.row(shadow.pk).version > before.version
        assert changed == (before.status in (TaskStatus.PENDING, TaskStatus.QUEUED))

    # --- what is always true ---

    @invariant()
    def rows_agree_with_their_shadows(self) -> None:
        for shadow in self.shadows:
            task = self.row(shadow.pk)
            assert (task.fencing_token, task.attempts) == (shadow.token, shadow.attempts)
            assert all(count == 1 for count in shadow.settled.values())
            assert task.settled_token == self.last_settled(shadow)
            assert task.version >= shadow.version
            assert 0 <= task.attempts - task.earlier_attempts <= task.max_retries + 1
            shadow.version = task.version

    @invariant()
    def the_columns_of_a_row_agree_with_its_state(self) -> None:
        for task in self.rows().values():
            leased = task.lease_expires_at is not None
            assert (task.completed_at is not None) == (task.status in TERMINAL)
            assert (task.queued_at is not None) >= (task.status in (TaskStatus.QUEUED, TaskStatus.PROCESSING))
            assert (task.lease_owner is not None) == leased
            assert leased <= (task.claim_id is not None)
            match task.status:
                case TaskStatus.PENDING:
                    assert task.hold in (Hold.DUE, Hold.BACKOFF) and task.queued_at is None
                    assert task.ready_ms == milliseconds(task.scheduled_at)
                case TaskStatus.QUEUED:
                    assert task.hold == Hold.NONE and not leased
                case TaskStatus.PROCESSING:
                    assert task.hold == Hold.NONE and leased and task.started_at is not None
                case _:
                    assert task.hold == Hold.NONE
                    assert task.status == TaskStatus.CANCELLED or (task.claim_id is None and not task.begun)

    # --- looking ---

    @property
    def now(self) -> datetime:
        return self.clock.moment

    def rows(self) -> dict[uuid.UUID, Task]:
        return Task.objects.in_bulk([shadow.pk for shadow in self.shadows])

    def row(self, pk: uuid.UUID) -> Task:
        return Task.objects.get(pk=pk)

    def shadow(self, pk: uuid.UUID) -> Shadow:
        return next(shadow for shadow in self.shadows if shadow.pk == pk)

    def holds(self, lease: Lease) -> bool:
        return (
            self.shadow(lease.task_id).last_holder == lease and self.row(lease.task_id).status == TaskStatus.PROCESSING
        )

    @staticmethod
    def last_settled(shadow: Shadow) -> int:
        return max(shadow.settled, default=0)


def explore(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        LifecycleMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_interleavings():
    explore(examples=25, steps=40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_random_interleavings():
    explore(examples=400, steps=80)
