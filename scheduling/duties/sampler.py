"""Notes the metrics from time to time, so that their past can be shown."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from scheduling import queue_reports, samples
from scheduling.runtime.duty import Duty
from scheduling.samples import QueueState


class Sampler(Duty):
    """Takes a sample at every full period of the clock, and lets go of samples that are finer than their age allows."""

    name = "sampler"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.sample_period.total_seconds()

    def perform(self, now: datetime) -> float:
        """Take one, if it is time."""
        queues = {each.name: QueueState(each.depth, each.oldest_seconds) for each in queue_reports.reports(now)}
        if samples.take(queues, now):
            self.progress.treat(1)
            samples.forget(now)
        return self.period_seconds - now.timestamp() % self.period_seconds
