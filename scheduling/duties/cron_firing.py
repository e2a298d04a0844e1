"""Releases occurrences of schedules when their slot has come, and makes the next ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.connections import is_unavailable
from dtq_site.foundation.database import is_lock_conflict
from dtq_site.foundation.errors import DTQError
from dtq_site.foundation.observer import Observer
from scheduling import schedules
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader

REST_AFTER_FAILURE = timedelta(seconds=60)
REST_AFTER_CONFLICT = timedelta(seconds=1)


class CronFiring(Duty):
    """Sleeps until the next slot, but looks often enough to see a schedule that was made meanwhile.

    A schedule that cannot be fired, as when its time zone is gone, rests for a while and holds up no other.
    """

    name = "cron firing"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.cron_period.total_seconds()

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._resting: dict[UUID, datetime] = {}

    def perform(self, now: datetime) -> float:
        """Fire all that is due."""
        self._resting = {schedule: until for schedule, until in self._resting.items() if until > now}
        missed: set[UUID] = set()
        while found := schedules.due(now, besides={*self._resting, *missed}):
            missed.update(schedule_id for schedule_id in found if not self._fire(schedule_id, now))
            if self.stopping:
                break
        coming = schedules.next_moment(besides={*self._resting, *missed})
        if coming is None:
            return self.period_seconds
        return min(max((coming - now).total_seconds(), 0.0), self.period_seconds)

    def _fire(self, schedule_id: UUID, now: datetime) -> bool:
        """Fire one; False if it was not to be fired any more, or could not be."""
        try:
            fired = schedules.fire(schedule_id, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            self._resting[schedule_id] = now + (REST_AFTER_CONFLICT if is_lock_conflict(error) else REST_AFTER_FAILURE)
            reason = error.message if isinstance(error, DTQError) else repr(error)
            self.observer.emit("schedule.failed", schedule=str(schedule_id), error=reason)
            return False
        if fired is None:
            return False
        self.progress.treat(len(fired.released))
        if fired.released:
            self.observer.emit("schedule.fired", schedule=str(schedule_id), tasks=len(fired.released))
        else:
            self.observer.emit("schedule.waits" if fired.waits else "schedule.skipped", schedule=str(schedule_id))
        return True
