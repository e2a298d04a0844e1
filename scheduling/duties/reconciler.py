"""Keeps the dispatch index in Redis equal to the rows."""

from __future__ import annotations

from datetime import datetime

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks.models import Queue
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation

BUDGET_SECONDS = 0.1


class Reconciler(Duty):
    """Once a second, for each queue: is the index whole, and has its front all that the rows say?"""

    name = "reconciler"
    period_seconds = 1.0

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._queues: dict[str, Reconciliation] = {}

    def perform(self, now: datetime) -> float:
        """Rebuild what is lost, add what is missing."""
        for queue in Queue.objects.values_list("name", flat=True):
            known = self._queues.setdefault(queue, Reconciliation(redis_index(), queue))
            try:
                if known.ensure_whole():
                    self.observer.emit("index.rebuilt", queue=queue)
                added = known.sweep(BUDGET_SECONDS)
            except IndexLost:
                return self.period_seconds  # Redis is away; workers ask the rows
            if added:
                self.observer.emit("index.repaired", queue=queue, added=added)
        return self.period_seconds
