"""The shape of one job of upkeep: done at its period while this process leads."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.connections import close_broken_connections, is_unavailable
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from scheduling.runtime.leader import Leader
from scheduling.runtime.progress import Progress

LOOK_SECONDS = 0.25

SHORTEST_PATIENCE = timedelta(seconds=10)
LONGEST_PATIENCE = timedelta(minutes=10)
"""For how long a round may go on, whatever the period, before the duty counts as behind."""


class Duty(Service):
    """A service that rests while another process leads. Correct, though useless, when two processes perform it at once."""

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer)
        self._clock = clock
        self._leader = leader
        self.progress = Progress()

    @property
    @abstractmethod
    def period_seconds(self) -> float:
        """How long it rests between two rounds if there is nothing that is due sooner: a setting."""

    @property
    def patience(self) -> timedelta:
        """How long a round may take: its period, within bounds."""
        return min(max(timedelta(seconds=self.period_seconds), SHORTEST_PATIENCE), LONGEST_PATIENCE)

    @property
    def is_through(self) -> bool:
        """Whether the last round left nothing of its work for the next one."""
        return True

    def run_once(self) -> float:
        """Perform the duty if this process leads; returns the seconds to rest."""
        if not self._leader.leads:
            return LOOK_SECONDS
        return self._leader.database.attempt(self.perform_on_record)

    def perform_on_record(self) -> float:
        """Do one round as of now, and keep account of it. An absent database is no failure of the duty's."""
        now = self._clock.now()
        with self.progress.round(now, self.patience) as stopwatch:
            try:
                rest = self.perform(now)
            except Exception as error:
                if not is_unavailable(error):
                    self.progress.fail(stopwatch, repr(error))
                raise
            expected_at = stopwatch.now + timedelta(seconds=rest) + self.patience
            self.progress.finish(stopwatch, expected_at, is_through=self.is_through)
        return rest

    def perform_to_the_end(self) -> None:
        """Do round after round until nothing is left to do."""
        while self.perform_on_record() == 0 or not self.is_through:
            self.after_round()

    @abstractmethod
    def perform(self, now: datetime) -> float:
        """Do one round as of `now`; returns the seconds until the next, usually `period_seconds`, 0 for at once.

        The rows that it treats it counts with `progress.treat`.
        """

    def after_round(self) -> None:
        """Give up a broken connection."""
        close_broken_connections()
