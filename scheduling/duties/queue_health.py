"""Reports how the queues and the workers are."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from scheduling import queue_reports
from scheduling.runtime.duty import Duty
from workers import selectors as workers

MOST_NAMED = 10


class QueueHealth(Duty):
    """A line of log for each queue that is not empty, a warning if its oldest task waits too long, and one for workers that
    fell silent without signing off. The same figures are gauges of `/metrics`.
    """

    name = "queue health"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.queue_health_period.total_seconds()

    def perform(self, now: datetime) -> float:
        """Look once."""
        late_seconds = settings.DTQ_SCHEDULING.queue_late_after.total_seconds()
        reports = queue_reports.reports(now)
        for report in reports:
            if report.depth or report.processing:
                is_late = report.oldest_seconds >= late_seconds and not report.paused
                facts = {"queue": report.name, "depth": report.depth, "processing": report.processing}
                oldest = round(report.oldest_seconds, 1)
                self.observer.emit("queue.late" if is_late else "queue.health", **facts, oldest_seconds=oldest)
        silent = workers.silent(now)
        if silent:
            names = sorted(worker.name for worker in silent)[:MOST_NAMED]
            self.observer.emit("workers.silent", count=len(silent), workers=",".join(names))
        self.progress.treat(len(reports))
        return self.period_seconds
