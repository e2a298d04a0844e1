"""One worker process: its services, composed, and the order in which they end.

The main thread touches no server, so that a signal always finds it listening.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service, ServiceGroup
from tasks.domain.lease import Lease
from workers.domain.card import WorkerCard
from workers.runtime.attempt import HeldAttempts
from workers.runtime.claim_loop import ClaimLoop
from workers.runtime.executor import Executor
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.lease_keeper import LeaseKeeper
from workers.runtime.reporter import Reporter
from workers.transports.base import Transport

SERVICE_STOP_SECONDS = 6.0
DELIVERY_SECONDS = 10.0
FORCED_SECONDS = 0.5
_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Leftover:
    """What a worker could not finish: the leases of handlers that still run, and whether anything was not delivered."""

    running: tuple[Lease, ...]
    undelivered: bool


NOTHING_LEFT = Leftover((), undelivered=False)


class Worker:
    """Claims, runs, renews and reports until it is asked to stop."""

    def __init__(
        self, card: WorkerCard, transport: Transport, observer: Observer, *, lease: timedelta, grace: timedelta
    ) -> None:
        self._name = card.name
        self._observer = observer
        self._grace_seconds = grace.total_seconds()
        self._stopping = False
        self._forced = False
        self.held = HeldAttempts()
        self.reporter = Reporter(observer, transport, self.held)
        self.executor = Executor(
            observer, transport, self.held, self.reporter, lambda: self.claim_loop.wake(), slots=card.concurrency
        )
        self.claim_loop = ClaimLoop(
            observer, transport, self.held, self.executor, self.reporter, slots=card.concurrency, lease=lease
        )
        self.lease_keeper = LeaseKeeper(observer, transport, self.held, self.executor, self.reporter, lease=lease)
        self.heartbeat = Heartbeat(observer, transport, card)

    def stop(self) -> None:
        """Ask for the end; a second time, for the end at once. It only sets a flag, as a signal handler must."""
        self._forced = self._stopping
        self._stopping = True

    def run(self) -> Leftover:
        """Work until `stop`, then drain. If handlers still run after it, their process must end now."""
        ServiceGroup([self.heartbeat, self.reporter, self.lease_keeper, self.claim_loop]).start()
        while not self._stopping:
            time.sleep(_TICK_SECONDS)
        return self._drain()

    def _drain(self) -> Leftover:
        """Claim no more, give back what has not begun, let handlers end within the grace period, deliver, sign off."""
        self.heartbeat.draining = True
        self.heartbeat.wake()
        self._end(self.claim_loop)
        for attempt in self.executor.withdraw(0):
            self.reporter.give_up(attempt)
        running = len(self.held.unfinished())
        self._observer.emit("worker.draining", worker=self._name, running=running, grace=self._grace_seconds)
        self._wait(lambda: not self.held.unfinished(), self._grace_seconds)
        self._wait(lambda: self.reporter.idle, DELIVERY_SECONDS)
        left = Leftover(tuple(attempt.lease for attempt in self.held.unfinished()), not self.reporter.idle)
        self.heartbeat.signs_off = not left.running
        for service in (self.lease_keeper, self.reporter, self.heartbeat):
            self._end(service)
        self._observer.emit(
            "worker.stopped", worker=self._name, given_back=len(left.running), undelivered=left.undelivered
        )
        return left

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        ends_at = elapsed_clock() + seconds
        while not done() and not self._forced and elapsed_clock() < ends_at:
            time.sleep(_TICK_SECONDS)

    def _end(self, service: Service) -> None:
        service.stop()
        ends_at = elapsed_clock() + SERVICE_STOP_SECONDS
        while not service.join(FORCED_SECONDS) and not self._forced and elapsed_clock() < ends_at:
            continue
