"""Sees to it that no task waits for others that have ended."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle, parents
from tasks.models import UnfollowedEnd

PAGE = 500


class DependencyKeeper(Duty):
    """Recounts tasks that wait for others.

    Whatever ends a task lets those go on that wait for it, in the same transaction; if very many do, only the first ones, and
    notes that more may follow. This duty goes on from such notes at once. Besides it looks at all that wait, stretch by stretch.
    """

    name = "dependency keeper"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.dependency_keeper_period.total_seconds()

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._last: parents.Place | None = None
        self._is_through = True

    @property
    def is_through(self) -> bool:
        """Whether nothing is left of any end, and the last stretch was the last one."""
        return self._is_through

    def perform(self, now: datetime) -> float:
        """Go on with what has ended, then look at one stretch; once more at once while there is something to do."""
        ends = parents.unfollowed(PAGE)
        if ends:
            self._follow(ends, now)
        moved = self._look_at_a_stretch(now)
        self._is_through = not ends and self._last is None
        return 0.0 if ends or moved else self.period_seconds

    def _follow(self, ends: list[UnfollowedEnd], now: datetime) -> None:
        """Draw a part of what follows from these ends; forget them if that was all."""
        overdue = parents.overdue_after({end.task_id for end in ends}, PAGE)
        self._recount(overdue, now)
        if len(overdue) < PAGE:
            lifecycle.forget_ends(ends)

    def _look_at_a_stretch(self, now: datetime) -> int:
        stretch = parents.waiting(self._last, PAGE)
        self._last = stretch[-1] if len(stretch) == PAGE else None
        return self._recount(parents.overdue([task_id for *_, task_id in stretch]), now) if stretch else 0

    def _recount(self, overdue: list[UUID], now: datetime) -> int:
        moved = lifecycle.recount(overdue, now) if overdue else 0
        if moved:
            self.progress.treat(moved)
            self.observer.emit("dependencies.recounted", moved=moved)
        return moved
