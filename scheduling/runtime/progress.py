"""What one duty of this process is doing and has done. Pure, but for the clock that measures lengths of time.

The duty writes it on its own thread, the bookkeeper reads it on another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dtq_site.foundation.clock import elapsed_clock


@dataclass(frozen=True)
class Account:
    """How things stand. The counts are those since this process began."""

    began_at: datetime | None = None
    """When the round began that goes on; None between rounds."""
    succeeded_at: datetime | None = None
    """When the duty last was through with its work."""
    failed_at: datetime | None = None
    error: str = ""
    seconds: float = 0.0
    """How long the last round took."""
    treated: int = 0
    failures: int = 0
    expected_at: datetime | None = None
    """By when the round that goes on, or else the next one, should have ended well. Past that the duty is behind."""


class Progress:
    """The account of one duty, kept round by round."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._account = Account()

    @property
    def account(self) -> Account:
        """How things stand now."""
        return self._account

    def treat(self, rows: int) -> None:
        """Count rows that the present round has treated."""
        self._change(treated=self._account.treated + rows)

    def expect(self, moment: datetime) -> None:
        """Count the duty as behind no sooner than that."""
        expected_at = self._account.expected_at
        self._change(expected_at=moment if expected_at is None else max(expected_at, moment))

    @contextmanager
    def round(self, now: datetime, patience: timedelta) -> Iterator[Stopwatch]:
        """Keep account of a round that begins now and should not take longer than `patience`.

        Who performs it says by `finish` that it has ended well; whether an error counts, by `fail`.
        """
        self._change(began_at=now, expected_at=now + patience)
        stopwatch = Stopwatch(now)
        try:
            yield stopwatch
        finally:
            self._change(began_at=None)

    def finish(self, stopwatch: Stopwatch, expected_at: datetime, *, is_through: bool) -> None:
        """The round has ended well; `is_through` if that was all, and not a part of a longer piece of work."""
        seconds = stopwatch.seconds
        ended = {"succeeded_at": stopwatch.now} if is_through else {}
        self._change(seconds=seconds, expected_at=expected_at, **ended)

    def fail(self, stopwatch: Stopwatch, error: str) -> None:
        """The round has ended with an error."""
        failures = self._account.failures + 1
        self._change(seconds=stopwatch.seconds, failed_at=stopwatch.now, error=error, failures=failures)

    def _change(self, **values: object) -> None:
        with self._lock:
            self._account = replace(self._account, **values)


class Stopwatch:
    """The time since a moment, by the clock of this machine."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at
        self._began = elapsed_clock()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return elapsed_clock() - self._began

    @property
    def now(self) -> datetime:
        """The moment at which it began, and what has passed since."""
        return self._began_at + timedelta(seconds=self.seconds)
