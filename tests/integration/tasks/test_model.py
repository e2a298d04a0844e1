"""The lifecycle under random interleavings of two workers, an operator, the duties and the clock.

A shadow of each task keeps what has to be true; every answer of a verb is compared with it, and every row after every step.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle
from tasks.domain.lease import RenewalVerdict
from tasks.domain.states import TERMINAL, TaskStatus
from tests.integration.tasks.attempts import ACCEPTED, DUPLICATE, STALE_LEASE
from tests.integration.tasks.machines import REPORTS, explore
from tests.integration.tasks.shadows import Shadow, Shadows
from tests.support.factories import (
    LEASE,
    OTHER_WORKER,
    POLICY,
    WORKER,
    claim,
    create,
    lease_of,
    no_jitter,
    settle,
)


class LifecycleMachine(Shadows):
    """Every rule is one request of somebody, at the present moment of the clock."""

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
            ACCEPTED if held or late else DUPLICATE if self.last_settled(shadow) == lease.fencing_token else STALE_LEASE
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
        if changed and before.lease_expires_at is None:
            shadow.last_holder = None  # what the holder of a lost lease has run is no longer what is asked for


def test_random_interleavings():
    explore(LifecycleMachine, examples=25, steps=40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_random_interleavings():
    explore(LifecycleMachine, examples=400, steps=80)
