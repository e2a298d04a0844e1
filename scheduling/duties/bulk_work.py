"""Goes through the tasks of requests that concern many of them."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from scheduling.runtime.duty import Duty
from tasks import bulk


class BulkWork(Duty):
    """Does one chunk of each request in turn, so that a large one does not hold up the others."""

    name = "bulk work"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.bulk_work_period.total_seconds()

    def perform(self, now: datetime) -> float:
        """Advance every request; go on at once while there is more that no rate holds back."""
        steps = [bulk.advance(request_id, now) for request_id in bulk.unfinished()]
        for step in steps:
            if step is not None and step.finished:
                self.progress.treat(step.done)
                self.observer.emit("bulk.finished", verb=step.verb, tasks=step.done)
        at_once = any(step is not None and not (step.finished or step.paced) for step in steps)
        return 0.0 if at_once else self.period_seconds
