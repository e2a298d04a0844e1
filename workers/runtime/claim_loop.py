"""What a worker does between two tasks: ask for as many as it can start soon, start them, else wait for the bell."""

from __future__ import annotations

import uuid
from datetime import timedelta

from dtq_site.foundation.backoff import full_jitter, spread
from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.executor import Executor
from workers.runtime.look_ahead import NO_FURTHER, Ahead, look_ahead
from workers.runtime.reporter import Reporter
from workers.transports.base import Transport, Unreachable

CATCH_UP_SECONDS = 0.02
REPORTS_SECONDS = 0.1
"""How soon it looks again whether reports have made room."""

IDLE_WAIT_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""How often a worker looks at the rows themselves: a bell or an entry of the index may have been lost."""


class ClaimLoop(Service):
    """Claims tasks for free slots and a little ahead, and hands them to the executor."""

    name = "claim loop"

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        executor: Executor,
        reporter: Reporter,
        *,
        slots: int,
        lease: timedelta,
        ahead: Ahead = NO_FURTHER,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._executor = executor
        self._reporter = reporter
        self._slots = slots
        self._lease = lease
        self._ahead = ahead
        self._look_at = 0.0
        self._unreachable = 0

    def run_once(self) -> float:
        """Claim what can start soon; returns at once after work, waits for the bell when there is none."""
        if not self._reporter.caught_up:
            return CATCH_UP_SECONDS
        if returned := self._held.forget_returned():
            self._transport.forget(returned)
        wanted = self._wanted()
        if wanted <= 0:
            return 60.0 if self._held.room else REPORTS_SECONDS  # the executor wakes the loop when it runs low
        try:
            started = self._claim(wanted)
            if not started and not self.stopping:
                self._transport.wait(IDLE_WAIT_SECONDS)
        except Unreachable as error:
            self._unreachable += 1
            pause = full_jitter(self._unreachable, base_seconds=0.5, cap_seconds=5.0)
            self.observer.emit("server.unreachable", during="claim", error=str(error), again_in_seconds=round(pause, 2))
            return pause
        self._unreachable = 0
        return 0

    def stop(self) -> None:
        """See Service. A wait for work ends too."""
        super().stop()
        self._transport.stop_waiting()

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def _wanted(self) -> int:
        """How many tasks to ask for; while some still wait in line, nothing before there is room for a good number."""
        stuck = sum(attempt.running_seconds > self._ahead.horizon_seconds for attempt in self._held.running())
        soon = look_ahead(self._executor.run_times, self._slots - stuck, self._ahead.horizon_seconds)
        self._executor.low_water = soon // 4 + self._ahead.prefetch * 3 // 4
        if self._held.waiting > self._executor.low_water or self._held.table.retiring:
            return 0
        return min(self._slots + soon + self._ahead.prefetch - self._held.unfinished, self._held.room)

    def _claim(self, wanted: int) -> int:
        look = elapsed_clock() >= self._look_at
        if look:
            self._look_at = elapsed_clock() + spread(LOOK_SECONDS, 0.5)
        sent = LeaseTimer.sent_at()
        tasks = self._transport.claim(uuid.uuid4(), wanted, self._lease, from_database=look)
        attempts = self._held.add(tasks, sent)
        self._executor.start([attempt for attempt in attempts if not attempt.task.begin_first])
        self._transport.after_start()
        self._start_noted([attempt for attempt in attempts if attempt.task.begin_first])
        return len(attempts)

    def _start_noted(self, attempts: list[Attempt]) -> None:
        """Start attempts whose loss must count, once that they start is noted, and alone: one may take the worker down.

        Those that cannot be noted are given back unstarted.
        """
        if not attempts:
            return
        certain: set[Lease] = set()
        try:
            self._give_back(self._held.withdraw_line())
            certain = self._transport.begin([attempt.lease for attempt in attempts])
        finally:
            for attempt in attempts:
                if attempt.lease in certain:
                    attempt.mark_begun()
                else:
                    self._reporter.give_up(attempt)
            self._executor.start([attempt for attempt in attempts if attempt.begun])

    def _give_back(self, attempts: list[Attempt]) -> None:
        """Release attempts now; the reporter goes on trying where that fails."""
        if not attempts:
            return
        try:
            self._transport.release([attempt.lease for attempt in attempts])
        except Exception:
            for attempt in attempts:
                self._reporter.give_up(attempt)
            raise
        for attempt in attempts:
            self._held.remove(attempt.lease)
