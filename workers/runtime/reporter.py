"""Delivers outcomes, log lines and progress in batches; keeps them until the server has taken them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.transports.base import Note, Transport, Unreachable

BATCH = 200
MOST_NOTES = 10_000


class Reporter(Service):
    """Sends what attempts produced: log lines first, so that they stand when the outcome does."""

    name = "reporter"

    def __init__(self, observer: Observer, transport: Transport, held: HeldAttempts) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._given_up: list[Lease] = []
        self._notes: list[Note] = []
        self._progress: dict[Lease, int] = {}
        self._unreachable = 0

    def outcome(self, outcome: Outcome) -> None:
        """Take over one attempt's end."""
        self._put(self._outcomes.append, outcome)

    def give_up(self, attempt: Attempt) -> None:
        """Take over an attempt that ends without an outcome: it was not started, or it was cancelled and has stopped."""
        self._held.finish(attempt)  # first: once it is given back its row is another attempt's
        self._put(self._given_up.append, attempt.lease)

    @property
    def has_room(self) -> bool:
        """Whether log lines should still be handed over: while the server is away they gather here."""
        return len(self._notes) < MOST_NOTES

    def note(self, note: Note) -> None:
        """Take over a log line."""
        self._put(self._notes.append, note)

    def progress(self, lease: Lease, percent: int) -> None:
        """Take over how far an attempt is; only the newest value counts."""
        self._put(self._progress.__setitem__, lease, percent)

    def _put(self, keep: Callable[..., Any], *values: Any) -> None:
        with self._lock:
            keep(*values)
        self.wake()

    @property
    def idle(self) -> bool:
        """Whether everything has been delivered."""
        with self._lock:
            return not (self._outcomes or self._given_up or self._notes or self._progress)

    def run_once(self) -> float:
        """Deliver one batch of each kind; what could not be delivered stays."""
        with self._lock:
            given_up, notes, progress = self._given_up[:BATCH], self._notes[:BATCH], dict(self._progress)
        try:
            if notes or progress:
                self._transport.record(notes, progress)
                self._forget(self._notes, notes)
                self._forget_progress(progress)
            if outcomes := self._tellable():
                self._deliver(outcomes)
            if given_up:
                self._transport.release(given_up)
                self._forget(self._given_up, given_up)
                for lease in given_up:
                    self._held.remove(lease)
        except Unreachable as error:
            return self._put_off(error)
        self._unreachable = 0
        return 0 if not self.idle else 60.0

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def _tellable(self) -> list[Outcome]:
        """The oldest outcomes, up to the first of which some log line has not been delivered."""
        with self._lock:
            untold = {note.lease for note in self._notes}
            return list(itertools.takewhile(lambda outcome: outcome.lease not in untold, self._outcomes[:BATCH]))

    def _deliver(self, outcomes: list[Outcome]) -> None:
        verdicts = self._transport.report(outcomes)
        self._forget(self._outcomes, outcomes)
        for outcome in outcomes:
            attempt = self._held.remove(outcome.lease)
            self.observer.emit(
                "task.settled",
                name=attempt.task.name if attempt else "",
                task=str(outcome.lease.task_id),
                outcome=str(outcome.kind),
                verdict=str(verdicts[outcome.lease]),
                seconds=round(outcome.run_seconds, 4),
                **({"error": outcome.error} if outcome.error else {}),
            )

    def _forget(self, queue: list[Any], delivered: list[Any]) -> None:
        with self._lock:
            del queue[: len(delivered)]

    def _forget_progress(self, delivered: dict[Lease, int]) -> None:
        with self._lock:
            for lease, percent in delivered.items():
                if self._progress.get(lease) == percent:
                    del self._progress[lease]

    def _put_off(self, error: Unreachable) -> float:
        self._unreachable += 1
        pause = full_jitter(self._unreachable, base_seconds=0.5, cap_seconds=5.0)
        self.observer.emit("server.unreachable", during="report", error=str(error), again_in_seconds=round(pause, 2))
        return pause
