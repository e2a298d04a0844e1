"""Keeps what is held: renews leases, notes what has begun, gives back what waits too long, ends what must end."""

from __future__ import annotations

from datetime import timedelta

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import RenewalVerdict
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.executor import Executor
from workers.runtime.look_ahead import HORIZON_SECONDS
from workers.runtime.reporter import Reporter
from workers.transports.base import Transport, Unreachable

TICK_SECONDS = 0.05
BEGUN_AFTER_SECONDS = 0.2
"""How long a task runs before its start is noted: most have ended by then and cost nothing."""

MOST_SECONDS_BETWEEN_RENEWALS = 5.0


class LeaseKeeper(Service):
    """Ticks twenty times a second; renews four times a lease, and at least every five seconds."""

    name = "lease keeper"

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        executor: Executor,
        reporter: Reporter,
        *,
        lease: timedelta,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._executor = executor
        self._reporter = reporter
        self._lease = lease
        self._period = min(lease.total_seconds() / 4, MOST_SECONDS_BETWEEN_RENEWALS)
        self._renew_at = elapsed_clock() + self._period

    def run_once(self) -> float:
        """Give back what waits too long, end what must end, renew when it is time, note what has begun."""
        for attempt in self._executor.withdraw(HORIZON_SECONDS):
            self._reporter.give_up(attempt)
        for attempt in self._held.unfinished():
            if attempt.overdue or attempt.to_end:
                self._executor.interrupt(attempt)
        try:
            if elapsed_clock() >= self._renew_at:
                self._renew()
            self._note_begun()
        except Unreachable as error:
            # What runs goes on; a granted renewal makes the leases good again.
            self.observer.emit("server.unreachable", during="renewal", error=str(error), again_in_seconds=1.0)
            self._renew_at = elapsed_clock()
            return 1.0
        return TICK_SECONDS

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def _note_begun(self) -> None:
        fresh = [
            attempt
            for attempt in self._held.unfinished()
            if not attempt.begun and attempt.running_seconds > BEGUN_AFTER_SECONDS
        ]
        if fresh:
            self._transport.begin([attempt.lease for attempt in fresh])
            for attempt in fresh:
                attempt.begun = True

    def _renew(self) -> None:
        attempts = self._held.all()
        if attempts:
            sent = LeaseTimer.sent_at()
            verdicts = self._transport.renew([attempt.lease for attempt in attempts], self._lease)
            for attempt in attempts:
                self._take(attempt, verdicts[attempt.lease], sent)
        self._renew_at = elapsed_clock() + self._period

    def _take(self, attempt: Attempt, verdict: RenewalVerdict, sent: tuple[float, float, float]) -> None:
        if verdict is RenewalVerdict.RENEWED:
            attempt.renewed_at = sent
        elif attempt.finished or attempt.to_end:
            return
        elif verdict is RenewalVerdict.CANCELLED:
            attempt.cancelled = True
            self.observer.emit("task.cancel_heard", task=str(attempt.lease.task_id))
        else:
            attempt.lost = True
            self.observer.emit("lease.lost", task=str(attempt.lease.task_id))
