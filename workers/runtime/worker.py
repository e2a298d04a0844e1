"""One worker process: its services, composed, and the order in which they end."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import ServiceGroup
from tasks.domain.lease import Lease
from workers.domain.card import WorkerCard
from workers.runtime.attempt import HeldAttempts
from workers.runtime.claim_loop import ClaimLoop
from workers.runtime.executor import Executor
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.lease_keeper import LeaseKeeper
from workers.runtime.reporter import Reporter
from workers.transports.base import Transport, Unreachable

SERVICE_STOP_SECONDS = 6.0
DELIVERY_SECONDS = 10.0


class Worker:
    """Claims, runs, renews and reports until it is asked to stop."""

    def __init__(
        self, card: WorkerCard, transport: Transport, observer: Observer, *, lease: timedelta, grace: timedelta
    ) -> None:
        self._card = card
        self._transport = transport
        self._observer = observer
        self._grace = grace
        self._stop = threading.Event()
        self._force = threading.Event()
        self.held = HeldAttempts()
        self.reporter = Reporter(observer, transport, self.held)
        self.executor = Executor(
            observer, transport, self.held, self.reporter, lambda: self.claim_loop.wake(), slots=card.concurrency
        )
        self.claim_loop = ClaimLoop(observer, transport, self.held, self.executor, slots=card.concurrency, lease=lease)
        self.lease_keeper = LeaseKeeper(observer, transport, self.held, self.executor, self.reporter, lease=lease)
        self.heartbeat = Heartbeat(observer, transport)

    def stop(self) -> None:
        """Ask for the end; a second time, for the end at once. Safe to call in a signal handler."""
        (self._force if self._stop.is_set() else self._stop).set()

    def run(self) -> list[Lease]:
        """Work until `stop`, then drain. Returns the leases of handlers that still run: their process must end now."""
        self._sign_on()
        services = [self.heartbeat, self.reporter, self.lease_keeper, self.claim_loop]
        ServiceGroup(services).start()
        self._stop.wait()
        return self._drain()

    def _sign_on(self) -> None:
        while not self._stop.is_set():
            try:
                self._transport.sign_on(self._card)
            except Unreachable as error:
                self._observer.emit("server.unreachable", during="sign-on", error=str(error), again_in_seconds=1.0)
                self._stop.wait(1.0)
            else:
                self._observer.emit(
                    "worker.ready",
                    worker=self._card.name,
                    slots=self._card.concurrency,
                    queues=",".join(self._card.queues) or "all",
                    handlers=",".join(sorted(self._card.handlers)),
                )
                return

    def _drain(self) -> list[Lease]:
        """Claim no more, let handlers end within the grace period, deliver, sign off."""
        self.heartbeat.draining = True
        self.heartbeat.wake()
        self.claim_loop.stop()
        self.claim_loop.join(SERVICE_STOP_SECONDS)
        for attempt in self.executor.withdraw(0):
            self.reporter.stopped(attempt.lease)
            self.held.finish(attempt)
        running = len(self.held.unfinished())
        self._observer.emit(
            "worker.draining", worker=self._card.name, running=running, grace=self._grace.total_seconds()
        )
        ends_at = elapsed_clock() + self._grace.total_seconds()
        while not self._force.is_set() and elapsed_clock() < ends_at:
            if self.held.wait_until_idle(0.1):
                break
        left = self._deliver()
        ServiceGroup([self.lease_keeper, self.reporter, self.heartbeat]).stop(SERVICE_STOP_SECONDS)
        if not left:
            self._sign_off()
        self._observer.emit("worker.stopped", worker=self._card.name, given_back=len(left))
        return left

    def _deliver(self) -> list[Lease]:
        ends_at = elapsed_clock() + DELIVERY_SECONDS
        while not self.reporter.idle and elapsed_clock() < ends_at and not self._force.wait(0.02):
            self.reporter.wake()
        return [attempt.lease for attempt in self.held.unfinished()]

    def _sign_off(self) -> None:
        with contextlib.suppress(Unreachable):  # it will be found silent
            self._transport.sign_off()
