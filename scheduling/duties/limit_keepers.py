"""See to it that no task waits for a limit that lets it run: a place under a cap that is free, or a token that is there."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle, limit_line
from tasks.domain.limits import Kind, Limit

PAGE = 500
SHORTEST_REST_SECONDS = 0.001


class _Keeper(Duty):
    """Goes through the lines of one kind of limits, page by page."""

    kind: Kind

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._after = ""
        self._look_again_at = math.inf

    @property
    def is_through(self) -> bool:
        """Whether the last page was the last one."""
        return not self._after

    def perform(self, now: datetime) -> float:
        """Look at a page of those limits that tasks wait for, again at once if more may be woken than were; rest after the
        last page only.
        """
        began = elapsed_clock()
        awaited = limit_line.awaited(self.kind, self._after, PAGE)
        woken, seconds = self.wake(awaited, now) if awaited else (0, self.period_seconds)
        if woken:
            self.progress.treat(woken)
            self.observer.emit(f"{self.kind}s.relieved", woken=woken)
        if woken >= lifecycle.MOST_WOKEN:
            return 0.0
        self._look_again_at = min(self._look_again_at, began + seconds)
        if len(awaited) == PAGE:
            self._after = str(awaited[-1])
            return 0.0
        rest = max(self._look_again_at - elapsed_clock(), SHORTEST_REST_SECONDS)
        self._after, self._look_again_at = "", math.inf
        return rest

    @abstractmethod
    def wake(self, awaited: Sequence[Limit], now: datetime) -> tuple[int, float]:
        """Wake whom these limits let run; returns how many, and the seconds until it is worth to look again."""


class CapKeeper(_Keeper):
    """Wakes for places that are free.

    Whoever ends gives its place up and wakes the first that waits. But that one may sit in a paused queue, the place may be a
    cancelled task's whose worker was not heard of again, or the cap may have been raised: this duty finds them. And whoever
    waits for a limit of any kind and stands in no line, which would be a defect, goes on by it too.
    """

    name = "cap keeper"
    kind = Kind.CAP

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._looked_until: limit_line.Stretch | None = None

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.cap_keeper_period.total_seconds()

    def wake(self, awaited: Sequence[Limit], now: datetime) -> tuple[int, float]:
        """As many as there are places."""
        return lifecycle.fill_places(awaited, now), self.period_seconds

    def perform(self, now: datetime) -> float:
        """Look at a page of caps, and at a stretch of the tasks that wait."""
        rest = super().perform(now)
        strays, self._looked_until = limit_line.strays(self._looked_until, PAGE)
        if strays and (woken := lifecycle.wake_strays(strays, now)):
            self.progress.treat(woken)
            self.observer.emit("limits.strays_woken", woken=woken)
        return rest


class RateKeeper(_Keeper):
    """Wakes for tokens, each at the moment when it is there."""

    name = "rate keeper"
    kind = Kind.RATE

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._planned: dict[Limit, lifecycle.Plan] = {}

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.rate_keeper_period.total_seconds()

    def wake(self, awaited: Sequence[Limit], now: datetime) -> tuple[int, float]:
        """As many as there are tokens that nobody was woken for yet."""
        woken, seconds = lifecycle.spend_tokens(awaited, self._planned, now)
        return woken, self.period_seconds if seconds is None else min(seconds, self.period_seconds)
