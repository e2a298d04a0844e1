"""The scheduler process: a leader and its duties."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import Error

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.liveness import PERIOD_SECONDS, LivenessFile
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service, ServiceGroup
from scheduling.duties.bulk_work import BulkWork
from scheduling.duties.cron_firing import CronFiring
from scheduling.duties.dependency_keeper import DependencyKeeper
from scheduling.duties.limit_keepers import CapKeeper, RateKeeper
from scheduling.duties.lock_keeper import LockKeeper
from scheduling.duties.promoter import Promoter
from scheduling.duties.queue_health import QueueHealth
from scheduling.duties.reaper import Reaper
from scheduling.duties.reconciler import Reconciler
from scheduling.duties.retention import REMOVALS
from scheduling.duties.sampler import Sampler
from scheduling.duties.webhook_dispatcher import WebhookDispatcher
from scheduling.runtime.bookkeeper import Bookkeeper
from scheduling.runtime.due_listener import DueListener
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader

DUTIES: tuple[type[Duty], ...] = (
    *(Promoter, CronFiring, Reaper, LockKeeper, DependencyKeeper, Reconciler, BulkWork),
    *(CapKeeper, RateKeeper, WebhookDispatcher),
    *(QueueHealth, Sampler, *REMOVALS),
)
SERVICE_STOP_SECONDS = 6.0
BETWEEN_CALLS = timedelta(minutes=5)
"""For how long after `run_to_the_end` nobody misses the next call."""


class Scheduler:
    """Leads when it can, performs duties while it leads, until it is asked to stop."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock
        self._stop = threading.Event()
        self.leader = Leader(observer, clock, settings.DTQ_SCHEDULING.leader_lease)
        self.duties = [duty(observer, clock, self.leader) for duty in DUTIES]
        accounts = {duty.name: duty.progress for duty in self.duties}
        self.bookkeeper = Bookkeeper(observer, clock, self.leader.database, accounts)
        promoter = next(duty for duty in self.duties if isinstance(duty, Promoter))
        self.listener = DueListener(observer, self.leader, promoter)

    def stop(self) -> None:
        """Ask for the end. Safe to call in a signal handler."""
        self._stop.set()

    def run(self, health_file: str = "") -> None:
        """Run until `stop`; that file says meanwhile whether all loops turn."""
        liveness = LivenessFile(
            health_file, lambda error: self._observer.emit("health.unwritable", file=health_file, error=str(error))
        )
        ServiceGroup([self.leader, self.bookkeeper, self.listener, *self.duties]).start()
        self._observer.emit("scheduler.ready")
        liveness.refresh(self.stuck)
        while not self._stop.wait(PERIOD_SECONDS):
            liveness.refresh(self.stuck)
        ending = [self.listener, *self.duties, self.bookkeeper, self.leader]
        stuck = ServiceGroup(ending).stop(SERVICE_STOP_SECONDS)
        with suppress(Error):  # without the database the lease ends by itself
            self.leader.resign()
        liveness.remove()
        self._observer.emit("scheduler.stopped", **({"stuck": ",".join(stuck)} if stuck else {}))

    def stuck(self) -> list[str]:
        """The loops that have not turned for too long. A duty may take as long for a round as it may before it is behind."""
        patience: dict[Service, timedelta] = dict.fromkeys(
            (self.leader, self.bookkeeper, self.listener), settings.DTQ_SITE.stuck_after
        )
        patience |= {duty: max(duty.patience, settings.DTQ_SITE.stuck_after) for duty in self.duties}
        return [each.name for each, length in patience.items() if each.late_seconds > length.total_seconds()]

    def run_to_the_end(self) -> list[str]:
        """Perform every duty until nothing is left to do; returns the names of those that failed.

        Another process may lead meanwhile, for all of it is right then too.
        """
        failed = []
        self._begin_to_lead()
        for duty in self.duties:
            try:
                duty.perform_to_the_end()
                duty.progress.expect(self._clock.now() + BETWEEN_CALLS)
            except Exception as error:
                failed.append(duty.name)
                self._observer.emit("duty.failed", duty=duty.name, error=repr(error))
            finally:
                duty.after_round()
        self.leader.stop()
        self.leader.join(SERVICE_STOP_SECONDS)
        with suppress(Error):
            self.leader.resign()
            self.bookkeeper.write()
        treated = sum(duty.progress.account.treated for duty in self.duties)
        self._observer.emit("scheduler.done", duties=len(self.duties), rows=treated, failed=",".join(failed))
        return failed

    def _begin_to_lead(self) -> None:
        with suppress(Error):
            self.leader.run_once()
        self.leader.start()
