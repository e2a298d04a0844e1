"""Writes down what the duties of this process do, so that whoever asks can see it. The only writer of DutyRecord.

A duty may hang, so its record is written on a thread of its own, once a second and only if there is something new.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import Error
from django.db.models import F

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.connections import close_broken_connections
from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from scheduling.models import DutyRecord
from scheduling.runtime.progress import Account, Progress
from scheduling.runtime.reachability import Reachability

PERIOD_SECONDS = 1.0


class Bookkeeper(Service):
    """Tells of rounds that take too long, and keeps the records."""

    name = "bookkeeper"

    def __init__(
        self, observer: Observer, clock: Clock, database: Reachability, duties: Mapping[str, Progress]
    ) -> None:
        super().__init__(observer)
        self._clock = clock
        self._database = database
        self._duties = duties
        self._written = dict.fromkeys(duties, Account())
        self._told: dict[str, datetime] = {}

    def run_once(self) -> float:
        """Look at all duties once."""
        return self._database.attempt(self._look)

    def _look(self) -> float:
        self._tell_of_long_rounds(self._clock.now())
        self.write()
        return PERIOD_SECONDS

    def write(self) -> None:
        """Write what is new."""
        accounts = {name: progress.account for name, progress in self._duties.items()}
        new = {name: account for name, account in accounts.items() if account != self._written[name]}
        if new:
            write_down({name: (self._written[name], account) for name, account in new.items()})
            self._written.update(new)

    def _tell_of_long_rounds(self, now: datetime) -> None:
        for name, progress in self._duties.items():
            account = progress.account
            began_at, expected_at = account.began_at, account.expected_at
            if began_at is None or expected_at is None or expected_at > now or self._told.get(name) == began_at:
                continue
            self._told[name] = began_at
            self.observer.emit("duty.slow", duty=name, seconds=round((now - began_at).total_seconds(), 1))

    def after_round(self) -> None:
        """Give up a broken connection."""
        close_broken_connections()

    def at_end(self) -> None:
        """Write the last word, if the database is there."""
        with suppress(Error):
            self.write()


@repeats_lock_conflicts
def write_down(changes: Mapping[str, tuple[Account, Account]]) -> None:
    """Bring the records of these duties from how things stood when they were last written to how they stand now."""
    there = set(DutyRecord.objects.filter(name__in=changes).values_list("name", flat=True))
    DutyRecord.objects.bulk_create(
        [DutyRecord(name=name) for name in sorted(changes.keys() - there)], ignore_conflicts=True
    )
    for name, (before, after) in sorted(changes.items()):
        DutyRecord.objects.filter(name=name).update(**_columns(before, after))


def _columns(before: Account, after: Account) -> dict[str, Any]:
    known = {column: getattr(after, column) for column in ("succeeded_at", "expected_at")}
    if after.failed_at is not None:
        known |= {"failed_at": after.failed_at, "error": after.error}
    return {
        **{column: value for column, value in known.items() if value is not None},
        "began_at": after.began_at,
        "seconds": after.seconds,
        "treated": F("treated") + (after.treated - before.treated),
        "failures": F("failures") + (after.failures - before.failures),
    }
