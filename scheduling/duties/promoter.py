"""Makes waiting tasks ready when they are due."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle

BATCH = 1000

GATHERING_SECONDS = 0.02
"""How long it rests at least after a promotion: what is due shortly after each other goes together."""

SHORTEST_REST_SECONDS = 0.001

UNTOLD_SECONDS = 0.1
"""How often it looks while nobody can tell it of a task that is due sooner."""


class Promoter(Duty):
    """Sleeps until the next task is due, and is woken by one that is due sooner.

    A task of which it was not told it finds at its period, and soon if it knows that it may have missed a word.
    """

    name = "promoter"

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._is_told = False
        self._sleeps_until: datetime | None = None

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.promoter_period.total_seconds()

    def be_told(self, is_told: bool) -> None:
        """From now on somebody tells it of every task that waits for a moment, or nobody does."""
        if is_told is not self._is_told:
            self._is_told = is_told
            self.wake()

    def hear(self, due: datetime) -> None:
        """A task is due at that moment."""
        until = self._sleeps_until
        if until is None or due < until:
            self.wake()

    def perform(self, now: datetime) -> float:
        """Promote what is due, a batch of it."""
        began = elapsed_clock()
        self._sleeps_until = None  # whatever is heard from here on the look at the rows may miss
        promoted = lifecycle.promote(now, BATCH)
        self.progress.treat(promoted)
        due = lifecycle.next_due()
        if promoted and due is not None and due <= now:
            return 0.0
        rest = self.period_seconds if self._is_told else min(UNTOLD_SECONDS, self.period_seconds)
        took = elapsed_clock() - began
        if due is not None:  # one that is overdue waits for a worker to hear of its cancellation
            until_due = max((due - now).total_seconds() - took, SHORTEST_REST_SECONDS)
            rest = min(rest, until_due if due > now else UNTOLD_SECONDS)
        if promoted:
            rest = max(rest, GATHERING_SECONDS)
        self._sleeps_until = now + timedelta(seconds=took + rest)
        return rest
