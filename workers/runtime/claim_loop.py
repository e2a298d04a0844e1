"""What a worker does between two tasks: ask for as many as it has free slots, start them, else wait for the bell."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from dtq_site.foundation.backoff import full_jitter, spread
from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.transports.base import Transport, Unreachable

IDLE_WAIT_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""How often an idle worker looks at the rows themselves: a bell or an entry of the index may have been lost."""


class ClaimLoop(Service):
    """Claims tasks while slots are free, and hands them to the executor."""

    name = "claim loop"

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        start: Callable[[Attempt], None],
        *,
        slots: int,
        lease: timedelta,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._start = start
        self._slots = slots
        self._lease = lease
        self._look_at = 0.0
        self._unreachable = 0

    def run_once(self) -> float:
        """Fill the free slots; returns at once after work, waits for the bell when there is none."""
        free = self._slots - len(self._held.running())
        if free <= 0:
            return 60.0  # the executor wakes the loop when a slot is free
        try:
            started = self._claim(free)
            if not started and not self.stopping:
                self._transport.wait(IDLE_WAIT_SECONDS)
        except Unreachable as error:
            self._unreachable += 1
            pause = full_jitter(self._unreachable, base_seconds=0.5, cap_seconds=5.0)
            self.observer.emit("server.unreachable", during="claim", error=str(error), again_in_seconds=round(pause, 2))
            return pause
        self._unreachable = 0
        return 0

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def _claim(self, free: int) -> int:
        look = elapsed_clock() >= self._look_at
        if look:
            self._look_at = elapsed_clock() + spread(LOOK_SECONDS, 0.5)
        sent = LeaseTimer.sent_at()
        tasks = self._transport.claim(uuid.uuid4(), free, self._lease, from_database=look)
        attempts = [Attempt(task, sent) for task in tasks]
        for attempt in attempts:
            self._held.add(attempt)
        certain = self._noted_first([attempt for attempt in attempts if attempt.task.begin_first])
        for attempt in attempts:
            if not attempt.task.begin_first or attempt.lease in certain:
                self._start(attempt)
        return len(attempts)

    def _noted_first(self, attempts: list[Attempt]) -> set[Lease]:
        """Note the start of attempts whose loss must count; those that cannot be noted are given up unstarted."""
        if not attempts:
            return set()
        try:
            still_mine = self._transport.begin([attempt.lease for attempt in attempts])
        except Unreachable:
            still_mine = set()
        for attempt in attempts:
            attempt.begun = attempt.lease.task_id in still_mine
            if not attempt.begun:
                self._held.remove(attempt.lease)
        return {attempt.lease for attempt in attempts if attempt.begun}
