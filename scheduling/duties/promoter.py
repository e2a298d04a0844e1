"""Makes waiting tasks ready when they are due."""

from __future__ import annotations

from datetime import datetime

from scheduling.runtime.duty import Duty
from tasks import lifecycle

BATCH = 1000


class Promoter(Duty):
    """Sleeps until the next task is due, but looks often enough to see one that was created meanwhile."""

    name = "promoter"
    period_seconds = 0.1

    def perform(self, now: datetime) -> float:
        """Promote what is due."""
        promoted = lifecycle.promote(now, BATCH)
        if promoted == BATCH:
            return 0
        due = lifecycle.next_due()
        if due is None or due <= now:  # the latter waits for a worker to hear of its cancellation
            return self.period_seconds
        return min((due - now).total_seconds(), self.period_seconds)
