"""Sees to it that no task waits for others that have ended."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle, parents

PAGE = 500


class DependencyKeeper(Duty):
    """Recounts tasks that wait for others, stretch by stretch.

    Whatever ends a task lets those go on that wait for it, in the same transaction; of a task for which very many wait it does
    so for the first ones, and this duty for the others.
    """

    name = "dependency keeper"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.dependency_keeper_period.total_seconds()

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._offset = 0

    @property
    def is_through(self) -> bool:
        """Whether the last stretch was the last one."""
        return self._offset == 0

    def perform(self, now: datetime) -> float:
        """Look at one stretch; go on at once while there is something to do, for there may be more."""
        waiting = parents.waiting(self._offset, PAGE)
        overdue = parents.overdue(waiting) if waiting else []
        moved = lifecycle.recount(overdue, now) if overdue else 0
        if moved:
            self.progress.treat(moved)
            self.observer.emit("dependencies.recounted", moved=moved)
            return 0.0
        self._offset = self._offset + PAGE if len(waiting) == PAGE else 0
        return self.period_seconds
