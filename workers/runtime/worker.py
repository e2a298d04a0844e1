"""One worker process: its services, composed, and the order in which they end.

The main thread touches no server, so that a signal always finds it listening.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import psutil

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service, ServiceGroup
from workers.domain.card import WorkerCard
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.offline.rows import ClaimedRow
from workers.runtime.attempt import HeldAttempts
from workers.runtime.claim_loop import ClaimLoop
from workers.runtime.executor import Executor
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.held_table import HeldTable
from workers.runtime.journaling import Journaling
from workers.runtime.look_ahead import NO_FURTHER, Ahead
from workers.runtime.reporter import Reporter
from workers.runtime.watch import Watch
from workers.transports.base import Transport

EXIT_DRAINED, EXIT_GAVE_BACK = 0, 4
SERVICE_STOP_SECONDS = 6.0
DELIVERY_SECONDS = 10.0
FORCED_SECONDS = 0.5
_TICK_SECONDS = 0.05


@dataclass
class Recycling:
    """When a process retires and is replaced: after so many tasks, or above so many bytes of memory; 0 is never."""

    after_tasks: int = 0
    above_bytes: int = 0
    _look_at: float = field(default=0.0, init=False)

    def is_due(self, ended: int) -> bool:
        """Whether it is time. Memory is looked at once a second."""
        if self.after_tasks and ended >= self.after_tasks:
            return True
        if not self.above_bytes or elapsed_clock() < self._look_at:
            return False
        self._look_at = elapsed_clock() + 1.0
        return bool(psutil.Process().memory_info().rss > self.above_bytes)


class Worker:
    """Claims, runs, renews and reports until it is asked to stop."""

    def __init__(
        self,
        card: WorkerCard,
        transport: Transport,
        observer: Observer,
        table: HeldTable,
        outbox: OutboxFolder,
        *,
        lease: timedelta,
        grace: timedelta,
        recycling: Recycling,
        ahead: Ahead = NO_FURTHER,
        journal: Journal | None = None,
    ) -> None:
        self._name = card.name
        self._observer = observer
        self._grace_seconds = grace.total_seconds()
        self._recycling = recycling
        self._table = table
        self._outbox = outbox
        self._stopping = False
        self._forced = False
        self.held = HeldAttempts(table)
        self._journal = journal
        self.reporter = Reporter(observer, transport, self.held, outbox, journal, self._adopt)
        self.executor = Executor(
            observer, transport, self.held, self.reporter, lambda: self.claim_loop.wake(), slots=card.concurrency
        )
        self.claim_loop = ClaimLoop(
            observer,
            transport,
            self.held,
            self.executor,
            self.reporter,
            slots=card.concurrency,
            lease=lease,
            ahead=ahead,
        )
        self.watch = Watch(observer, self.held, self.executor)
        self.heartbeat = Heartbeat(observer, transport, card)
        self._noting: list[Service] = [] if journal is None else [Journaling(observer, self.held, journal)]
        self._services = [self.heartbeat, self.reporter, self.watch, *self._noting, self.claim_loop]

    def stop(self) -> None:
        """Ask for the end; a second time, for the end at once. It only sets a flag, as a signal handler must."""
        self._forced = self._stopping
        self._stopping = True

    def run(self) -> int:
        """Work until `stop`, or until it is time to retire; then drain. Returns the exit code.

        If handlers still run after it, their process must end now.
        """
        self._outbox.prepare()
        ServiceGroup(self._services).start()
        while not (self._stopping or self._table.retiring):
            self._tick()
            if self._recycling.is_due(self.executor.ended):
                self._table.retiring = True
        return self._drain()

    def _drain(self) -> int:
        """Claim no more, give back what has not begun, let handlers end within the grace period, deliver, sign off.

        What cannot be delivered is left on disk, for the next worker of this host.

        One that retires lets them take their time: until their limits end them, or a signal asks for more haste.
        """
        self.heartbeat.draining = True
        self.heartbeat.wake()
        self._end(self.claim_loop)
        for attempt in self.held.withdraw_line():
            self.reporter.give_up(attempt)
        self._observer.emit(
            "worker.draining", worker=self._name, running=self.held.unfinished, grace=self._grace_seconds
        )
        while not (self._stopping or self.executor.idle):
            self._tick()
        self._wait(lambda: self.executor.idle, self._grace_seconds)
        self._wait(lambda: self.reporter.idle, DELIVERY_SECONDS)
        running = self.held.unfinished
        self.heartbeat.signs_off = not running
        for service in (self.watch, self.reporter, *self._noting, self.heartbeat):
            self._end(service)
        safe = self.reporter.leave()
        if self._journal is not None:
            self._journal.leave()
        self._observer.emit("worker.stopped", worker=self._name, given_back=running)
        return EXIT_DRAINED if safe and not running else EXIT_GAVE_BACK

    def _adopt(self, rows: Sequence[ClaimedRow]) -> None:
        """Run what a dead process of this host held and had not begun."""
        attempts = [attempt for row in rows for attempt in self.held.add([row.task], row.sent)]
        self.executor.start(attempts)

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        ends_at = elapsed_clock() + seconds
        while not done() and not self._forced and elapsed_clock() < ends_at:
            self._tick()

    def _tick(self) -> None:
        time.sleep(_TICK_SECONDS)
        self._table.pulse.beat(self._services)
        self.reporter.keep_if_slow()

    def _end(self, service: Service) -> None:
        service.stop()
        ends_at = elapsed_clock() + SERVICE_STOP_SECONDS
        while not service.join(FORCED_SECONDS) and not self._forced and elapsed_clock() < ends_at:
            continue
