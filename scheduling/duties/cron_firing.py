"""Releases occurrences of schedules when their slot has come, and makes the next ones."""

from __future__ import annotations

from datetime import datetime

from scheduling import schedules
from scheduling.runtime.duty import Duty


class CronFiring(Duty):
    """Sleeps until the next slot, but looks often enough to see a schedule that was made meanwhile."""

    name = "cron firing"
    period_seconds = 0.2

    def perform(self, now: datetime) -> float:
        """Fire what is due."""
        for schedule_id in schedules.due(now):
            if schedules.fire(schedule_id, now):
                self.observer.emit("schedule.fired", schedule=str(schedule_id))
        coming = schedules.next_moment()
        if coming is None:
            return self.period_seconds
        return min(max((coming - now).total_seconds(), 0.0), self.period_seconds)
