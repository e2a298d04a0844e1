"""Makes deliveries of what webhooks are to be told."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from scheduling.runtime.duty import Duty
from tasks.webhooks import deliveries


class WebhookDispatcher(Duty):
    """Takes the events that moves have left, and makes a task of each for every webhook that wants it."""

    name = "webhook dispatcher"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.webhook_period.total_seconds()

    def perform(self, now: datetime) -> float:
        """Take a batch; go on at once while there may be more."""
        done = deliveries.dispatch(now)
        if done.events:
            self.progress.treat(done.events)
            self.observer.emit("webhooks.dispatched", events=done.events, deliveries=done.deliveries)
        return 0.0 if done.more else self.period_seconds
