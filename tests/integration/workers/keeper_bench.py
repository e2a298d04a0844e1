"""A keeper with a table to look after, and real rows for it."""

from __future__ import annotations

import uuid
from datetime import timedelta

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.lease import Lease
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.held_table import HeldTable
from workers.runtime.keeper import Keeper

LEASE = timedelta(seconds=15)


class Bench:
    """A table, what it holds, and the keeper that looks after it."""

    def __init__(self, pid: int) -> None:
        from workers.transports.direct import DirectTransport

        self.recorder = Recorder()
        self.table = HeldTable(16)
        self.table.open()
        self.table.pid = pid
        self.held = HeldAttempts(self.table)
        self.transport = DirectTransport(a_card())
        self.kept: set[Lease] = set()
        self.keeper = Keeper(
            Observer(self.recorder),
            self.transport,
            [self.table],
            lambda: self.kept,
            lease=LEASE,
            hard_limit_after=timedelta(seconds=2),
        )

    def claim(self, *tasks, age: float = 0.0) -> list[Attempt]:
        """Hold tasks that were claimed so many seconds ago."""
        leased = self.transport.claim(uuid.uuid4(), len(tasks), LEASE, from_database=True)
        monotonic, boot, wall = LeaseTimer.sent_at()
        attempts = self.held.add(leased, (monotonic - age, boot - age, wall - age))
        for attempt in attempts:
            self.table.claimed_at[attempt.row] -= age
        return attempts

    def run(self, attempt: Attempt, seconds: float = 0.0) -> None:
        """Have its handler run for so many seconds already."""
        attempt.start()
        self.table.started_at[attempt.row] = elapsed_clock() - seconds

    def round(self, *, renewing: bool = False) -> None:
        """One round of the keeper."""
        if renewing:
            self.keeper._renew_at = 0.0
        self.keeper.run_once()

    def names(self) -> list[str]:
        """The events so far."""
        return [event.name for event in self.recorder.events]


def a_card():
    """A worker that reaches the database."""
    from tests.support.factories import WORKER
    from workers.domain.card import WorkerCard

    return WorkerCard(WORKER, "w", "h", 1, (), {"job": {}}, 5, "direct", "1")


def make(**fields):
    """A task that can be claimed now."""
    from dtq_site.foundation.database import database_clock
    from tests.support.factories import create

    return create(database_clock.now(), **fields)


def reread(task):
    """The row as it is now."""
    return type(task).objects.get(pk=task.pk)
