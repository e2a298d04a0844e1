"""The scheduler process: a leader and its duties."""

from __future__ import annotations

import threading
from contextlib import suppress

from django.conf import settings
from django.db import Error

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import ServiceGroup
from scheduling.duties.bulk_work import BulkWork
from scheduling.duties.cron_firing import CronFiring
from scheduling.duties.dependency_keeper import DependencyKeeper
from scheduling.duties.janitor import Janitor
from scheduling.duties.lock_keeper import LockKeeper
from scheduling.duties.promoter import Promoter
from scheduling.duties.reaper import Reaper
from scheduling.duties.reconciler import Reconciler
from scheduling.runtime.leader import Leader

DUTIES = (Promoter, CronFiring, Reaper, LockKeeper, DependencyKeeper, Reconciler, BulkWork, Janitor)
SERVICE_STOP_SECONDS = 6.0


class Scheduler:
    """Leads when it can, performs duties while it leads, until it is asked to stop."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._stop = threading.Event()
        self.leader = Leader(observer, clock, settings.DTQ_SCHEDULING.leader_lease)
        self.duties = [duty(observer, clock, self.leader) for duty in DUTIES]

    def stop(self) -> None:
        """Ask for the end. Safe to call in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`."""
        ServiceGroup([self.leader, *self.duties]).start()
        self._observer.emit("scheduler.ready")
        self._stop.wait()
        stuck = ServiceGroup([*self.duties, self.leader]).stop(SERVICE_STOP_SECONDS)
        with suppress(Error):  # without the database the lease ends by itself
            self.leader.resign()
        self._observer.emit("scheduler.stopped", **({"stuck": ",".join(stuck)} if stuck else {}))
