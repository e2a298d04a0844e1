"""Releases occurrences of schedules when their slot has come, and makes the next ones."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.errors import DTQError
from dtq_site.foundation.observer import Observer
from scheduling import schedules
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader


class CronFiring(Duty):
    """Sleeps until the next slot, but looks often enough to see a schedule that was made meanwhile."""

    name = "cron firing"
    period_seconds = 0.2

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._failing: set[UUID] = set()

    def perform(self, now: datetime) -> float:
        """Fire what is due; a schedule that cannot be fired any more, as when its time zone is gone, holds up no other."""
        fired = 0
        for schedule_id in schedules.due(now):
            try:
                fired += self._fire(schedule_id, now)
            except DTQError as error:
                self._tell_once(schedule_id, error)
        coming = schedules.next_moment()
        if coming is None or (coming <= now and not fired):
            return self.period_seconds
        return min(max((coming - now).total_seconds(), 0.0), self.period_seconds)

    def _fire(self, schedule_id: UUID, now: datetime) -> bool:
        fired = schedules.fire(schedule_id, now)
        if fired:
            self._failing.discard(schedule_id)
            self.observer.emit("schedule.fired", schedule=str(schedule_id))
        return fired

    def _tell_once(self, schedule_id: UUID, error: DTQError) -> None:
        if schedule_id not in self._failing:
            self._failing.add(schedule_id)
            self.observer.emit("schedule.failed", schedule=str(schedule_id), error=error.message)
