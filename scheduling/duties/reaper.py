"""Takes back the tasks of workers that died or vanished."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from dtq_site.foundation.backoff import jitter
from scheduling.runtime.duty import Duty
from tasks import lifecycle
from workers.gateway import retry_policy


class Reaper(Duty):
    """Reaps leases that have ended, but none that could not be renewed because the database was away."""

    name = "reaper"
    period_seconds = 1.0

    def perform(self, now: datetime) -> float:
        """Reap, unless leaders have been renewing for less than one lease: then workers may only have been cut off."""
        up_since = self._leader.up_since
        if up_since is None or now - up_since < settings.DTQ_WORKERS.lease:
            return self.period_seconds
        for task in lifecycle.reap(retry_policy(), jitter, now):
            self.observer.emit(
                "lease.reaped", task=str(task.pk), name=task.name, now=task.status, losses=task.lost_leases
            )
        return self.period_seconds
