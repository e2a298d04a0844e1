"""Takes back the tasks of workers that died or vanished."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from dtq_site.foundation.backoff import jitter
from scheduling.runtime.duty import LOOK_SECONDS, Duty
from tasks import lifecycle
from workers.gateway import retry_policy

BATCH = 500


class Reaper(Duty):
    """Reaps leases that have ended, but none that could not be renewed because the database was away."""

    name = "reaper"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.reaper_period.total_seconds()

    def perform_to_the_end(self) -> None:
        """Wait, if there is a lease that has ended, until it is certain that it could have been renewed."""
        while (
            self._leader.leads
            and not self._is_trusted(self._clock.now())
            and lifecycle.has_ended_leases(self._clock.now())
        ):
            self._stopping.wait(LOOK_SECONDS)
        super().perform_to_the_end()

    def _is_trusted(self, now: datetime) -> bool:
        """Whether workers could renew for as long as a lease is."""
        return self._leader.up_for(now) >= settings.DTQ_WORKERS.lease

    def perform(self, now: datetime) -> float:
        """Reap a batch, unless leaders have been renewing for less than one lease: then workers may only have been cut off."""
        if not self._is_trusted(now):
            return self.period_seconds
        reaped = lifecycle.reap(retry_policy(), jitter, now, BATCH)
        cancelled = lifecycle.reap_cancelled(now, BATCH)
        self.progress.treat(len(reaped) + cancelled)
        for task in reaped:
            self.observer.emit(
                "lease.reaped", task=str(task.pk), name=task.name, now=task.status, losses=task.lost_leases
            )
        return 0.0 if BATCH in (len(reaped), cancelled) else self.period_seconds
