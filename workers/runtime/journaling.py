"""Notes on disk what a successor must know of tasks: which have begun or are given back, and how long their leases last."""

from __future__ import annotations

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease
from workers.offline.journal import Journal
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import ClockReadings

TICK_SECONDS = 0.1
BEGUN_AFTER_SECONDS = 0.2
"""As the keeper tells the server: most tasks have ended by then and cost nothing."""

EXTENDED_EVERY_SECONDS = 5.0


class Journaling(Service):
    """Looks ten times a second at what runs and how long leases are, and every few seconds at when they were renewed."""

    name = "journal"

    def __init__(self, observer: Observer, held: HeldAttempts, journal: Journal) -> None:
        super().__init__(observer)
        self._held = held
        self._journal = journal
        self._begun: set[Lease] = set()
        self._withdrawn: set[Lease] = set()
        self._noted: dict[Lease, tuple[float, ClockReadings]] = {}
        self._extend_at = elapsed_clock() + EXTENDED_EVERY_SECONDS

    def run_once(self) -> float:
        """Note what has changed."""
        running = self._held.running()
        self._begun &= {attempt.lease for attempt in running}
        late = [each.lease for each in running if each.running_seconds > BEGUN_AFTER_SECONDS]
        if fresh := [lease for lease in late if lease not in self._begun]:
            self._journal.begin(fresh)
            self._begun |= set(fresh)
        withdrawn = self._held.withdrawn()
        if given_back := withdrawn - self._withdrawn:
            self._journal.give_up(given_back)
        self._withdrawn = withdrawn
        self._extend()
        return TICK_SECONDS

    def _extend(self) -> None:
        """Note at once that a lease has become longer or shorter, and now and then that it counts from a later moment."""
        is_due = elapsed_clock() >= self._extend_at
        noted, renewed = {}, {}
        for task, seconds, sent in self._held.renewals():
            before = self._noted.get(task.lease, (task.lease_seconds, sent))
            if seconds != before[0] or (is_due and sent != before[1]):
                before = renewed[task.lease] = (seconds, sent)
            noted[task.lease] = before
        if renewed:
            self._journal.extend(renewed)
        self._noted = noted
        if is_due:
            self._extend_at = elapsed_clock() + EXTENDED_EVERY_SECONDS
