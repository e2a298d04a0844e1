"""Machines that play with tasks under a clock of their own, in a transaction that is undone at the end."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tasks import lifecycle
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.models import Task
from tests.support.factories import LEASE, START, ManualClock, completed, discarded, failed, reap

REPORTS = {"completed": completed, "failed": failed, "discarded": discarded}


class UndoneMachine(RuleBasedStateMachine):
    """A clock, and all leases that were ever won. What can happen is said by a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.clock = ManualClock(START)
        self.leases: list[Lease] = []

    def teardown(self) -> None:
        """Undo what was written."""
        transaction.set_rollback(True)
        self._transaction.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        """The present moment of the clock."""
        return self.clock.moment


class AttemptMachine(UndoneMachine):
    """`live` has the attempts that may be running, each with the end of its lease."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[uuid.UUID] = []
        self.live: dict[Lease, datetime] = {}

    @rule(seconds=st.sampled_from([1, 5, 16]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        if lifecycle.renew([lease], LEASE, self.now)[lease] is RenewalVerdict.RENEWED:
            assert lease in self.live, "an attempt that is over was renewed"
            self.live[lease] = self.now + LEASE

    @rule()
    def reap(self) -> None:
        for task in reap(self.now):
            for lease in [each for each in self.live if each.task_id == task.pk]:
                assert self.live.pop(lease) < self.now

    @rule()
    def promote(self) -> None:
        lifecycle.promote(self.now)

    def rows(self) -> list[Task]:
        """The tasks that are there."""
        return list(Task.objects.filter(pk__in=self.ids))

    def row(self, pk: uuid.UUID) -> Task | None:
        """The task as its row says now, if it is there."""
        return Task.objects.filter(pk=pk).first()


def explore(machine: type[UndoneMachine], examples: int, steps: int) -> None:
    """Run so many examples of up to so many steps. Raises what breaks, by the shortest story of it that was found."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
