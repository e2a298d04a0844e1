"""Sees to it that no task waits for a lock that is free."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle, locks

PAGE = 500


class LockKeeper(Duty):
    """Frees the locks of cancelled tasks whose workers were not heard of again, and wakes who waits for a free one.

    Whoever frees a lock wakes the first that waits. But that one may sit in a paused queue, or be known to no worker: then
    the next has its chance a second later, and so on.
    """

    name = "lock keeper"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.lock_keeper_period.total_seconds()

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._after = ""

    @property
    def is_through(self) -> bool:
        """Whether the last page was the last one."""
        return not self._after

    def perform(self, now: datetime) -> float:
        """Look at the locks that have ended and at a page of those that are waited for."""
        awaited = locks.awaited(self._after, PAGE)
        self._after = awaited[-1] if len(awaited) == PAGE else ""
        ended = locks.ended(now, PAGE)
        woken = lifecycle.hand_over({*awaited, *ended}, now)
        if woken:
            self.progress.treat(woken)
            self.observer.emit("locks.handed_over", woken=woken)
        return 0.0 if len(ended) == PAGE else self.period_seconds
