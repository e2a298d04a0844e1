"""The shape of one job of upkeep: done at its period while this process leads."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.database import close_broken_connections
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from scheduling.runtime.leader import Leader

LOOK_SECONDS = 0.25


class Duty(Service):
    """A service that rests while another process leads. Correct, though useless, when two processes perform it at once."""

    period_seconds: float

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer)
        self._clock = clock
        self._leader = leader

    def run_once(self) -> float:
        """Perform the duty if this process leads; returns the seconds to rest."""
        if not self._leader.leads:
            return LOOK_SECONDS
        return self._leader.database.attempt(lambda: self.perform(self._clock.now()))

    @abstractmethod
    def perform(self, now: datetime) -> float:
        """Do one round as of `now`; returns the seconds until the next, usually `period_seconds`, 0 for at once."""

    def after_round(self) -> None:
        """Give up a broken connection."""
        close_broken_connections()
