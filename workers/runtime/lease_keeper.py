"""Keeps what is held: renews leases, notes what has begun, ends what was cancelled, lost or is overdue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import RenewalVerdict
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.transports.base import Transport, Unreachable

TICK_SECONDS = 0.1
BEGUN_AFTER_SECONDS = 0.2
"""How long a task runs before its start is noted: most have ended by then and cost nothing."""

MOST_SECONDS_BETWEEN_RENEWALS = 5.0


class LeaseKeeper(Service):
    """Ticks ten times a second; renews four times a lease, and at least every five seconds."""

    name = "lease keeper"

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        interrupt: Callable[[Attempt], None],
        *,
        lease: timedelta,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._interrupt = interrupt
        self._lease = lease
        self._period = min(lease.total_seconds() / 4, MOST_SECONDS_BETWEEN_RENEWALS)
        self._renew_at = elapsed_clock() + self._period

    def run_once(self) -> float:
        """End what must end, note what has begun, renew when it is time."""
        for attempt in self._held.running():
            if attempt.overdue or attempt.to_end:
                self._interrupt(attempt)
        try:
            self._note_begun()
            if elapsed_clock() >= self._renew_at:
                self._renew()
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
        old = elapsed_clock() - BEGUN_AFTER_SECONDS
        fresh = [each for each in self._held.running() if not each.begun and each.started_at < old]
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
                self._take(attempt, verdicts[attempt.lease.task_id], sent)
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
