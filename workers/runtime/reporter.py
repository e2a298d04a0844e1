"""Delivers outcomes, log lines and progress in batches, and has them on disk while they cannot be delivered.

In good times nothing touches the disk, unless there is a journal: then everything is on disk before it is sent. From the
moment that the server is found unreachable, or takes its time, until all is delivered, what comes is on disk before the next
try: see `workers/offline`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeVerdict
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.offline.outbox import Outbox
from workers.offline.rows import ClaimedRow
from workers.runtime.adoption import Adoption
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.inheritance import Inheritance
from workers.transports.base import Note, Transport, Unreachable

BATCH = 200
MOST_NOTES = 10_000
GATHER_SECONDS = 0.02
"""How long outcomes gather under load: a delivery costs as much as a hundred outcomes in it."""

PATIENCE_SECONDS = 1.0
"""How long a delivery may take before what waits for it is put on disk."""


class Reporter(Service):
    """Sends what attempts produced: log lines first, so that they stand when the outcome does.

    Handlers' threads hand over by appending to lists, which needs no lock; the service alone takes from them.
    """

    name = "reporter"

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        folder: OutboxFolder,
        journal: Journal | None = None,
        adopt: Callable[[Sequence[ClaimedRow]], None] | None = None,
    ) -> None:
        super().__init__(observer)
        self._transport = transport
        self._held = held
        self._outbox = Outbox(observer, folder, always=journal is not None)
        self._journal = journal
        adoption = Adoption(transport, held, folder, journal, adopt) if journal and adopt else None
        self._inheritance = Inheritance(observer, transport, folder, adoption)
        self._given_up: list[Lease] = []
        self._stopped: list[Lease] = []
        self._failures = 0
        self._try_at = 0.0
        self._delivered_at = 0.0
        self._trying_since: float | None = None

    # --- handing over ----------------------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome) -> None:
        """Take over one attempt's end."""
        self._outbox.outcomes.append(outcome)
        self.wake()

    def give_up(self, attempt: Attempt) -> None:
        """Take over an attempt that is given back, as if it had not been started."""
        self._end(attempt, self._given_up)

    def stopped(self, attempt: Attempt) -> None:
        """Take over an attempt that had started, was cancelled and has stopped."""
        self._end(attempt, self._stopped)

    def _end(self, attempt: Attempt, leases: list[Lease]) -> None:
        self._held.finish(attempt)  # first: once the server knows of its end its row is another attempt's
        leases.append(attempt.lease)
        self.wake()

    @property
    def has_room(self) -> bool:
        """Whether log lines should still be handed over: while the server is away they gather here."""
        return len(self._outbox.notes) < MOST_NOTES

    def note(self, note: Note) -> None:
        """Take over a log line."""
        self._outbox.notes.append(note)
        self.wake()

    def progress(self, lease: Lease, percent: int) -> None:
        """Take over how far an attempt is; only the newest value counts."""
        self._outbox.note_progress(lease, percent)
        self.wake()

    # --- delivering ------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether everything has been delivered."""
        if self._journal is not None and self._journal.wanted(1):
            return False
        outbox = self._outbox
        return not (outbox.outcomes or self._given_up or self._stopped or outbox.notes or outbox.progress())

    @property
    def caught_up(self) -> bool:
        """Whether what dead processes left was delivered: until then a claim could win a task that has been done."""
        return self._inheritance.caught_up

    def run_once(self) -> float:
        """Deliver one batch of each kind; what could not be delivered stays, and is on disk."""
        if self._failures:
            self._outbox.keep()
            if (pause := self._try_at - elapsed_clock()) > 0:
                return pause
        self._gather()
        if self._journal is not None:
            self._outbox.keep()
        self._trying_since = elapsed_clock()
        try:
            self._transport.create_wanted()
            self._tell()
            self._let_go(self._given_up, self._transport.release)
            self._let_go(self._stopped, self._transport.forfeit)
            pause = self._inheritance.deliver_some()
        except Unreachable as error:
            self._outbox.keep()
            return self._put_off(error)
        except Exception:
            self._outbox.keep()
            raise
        finally:
            self._trying_since = None
        self._failures = 0
        return pause if self.idle else 0

    def after_round(self) -> None:
        """Let the transport tidy up."""
        self._transport.after_work()

    def keep_if_slow(self) -> None:
        """Have on disk what waits for a delivery that does not end; for another thread to call now and then."""
        since = self._trying_since
        if since is not None and elapsed_clock() - since > PATIENCE_SECONDS:
            self._outbox.keep()

    def leave(self) -> bool:
        """Have on disk what was not delivered, for whoever comes next. False, and an event has said why, if that failed."""
        outcomes, log_lines = len(self._outbox.outcomes), len(self._outbox.notes)
        safe = self._outbox.leave()
        self._inheritance.leave()
        if outcomes or log_lines:
            self.observer.emit("outbox.left", outcomes=outcomes, log_lines=log_lines, on_disk=safe)
        return safe

    def _gather(self) -> None:
        """After a pause deliver at once; close upon another delivery wait for more to come."""
        if not self.idle:
            wait = self._delivered_at + GATHER_SECONDS - elapsed_clock()
            if wait > 0 and len(self._outbox.outcomes) < BATCH:
                self._stopping.wait(wait)
            self._delivered_at = elapsed_clock()

    def _tell(self) -> None:
        outcomes = self._outbox.outcomes[:BATCH]  # before the lines, so that theirs are among those
        notes, untold = self._outbox.notes[:BATCH], self._outbox.notes[BATCH:]
        if untold:
            later = {note.lease for note in untold}
            outcomes = list(itertools.takewhile(lambda outcome: outcome.lease not in later, outcomes))
        progress = self._outbox.progress()
        if not (outcomes or notes or progress):
            return
        verdicts = self._transport.tell(notes, progress, outcomes)
        self._outbox.notes_taken(len(notes))
        self._outbox.progress_taken(progress)
        self._outbox.outcomes_taken(len(outcomes))
        self._settled(outcomes, verdicts)

    def _settled(self, outcomes: list[Outcome], verdicts: dict[Lease, OutcomeVerdict]) -> None:
        heard = self.observer.hears("task.settled")
        for outcome in outcomes:
            attempt = self._held.remove(outcome.lease)
            if heard:
                self.observer.emit(
                    "task.settled",
                    name=attempt.task.name if attempt else "",
                    task=str(outcome.lease.task_id),
                    outcome=str(outcome.kind),
                    verdict=str(verdicts[outcome.lease]),
                    seconds=round(outcome.run_seconds, 4),
                    **({"error": outcome.error} if outcome.error else {}),
                )

    def _let_go(self, leases: list[Lease], tell: Callable[[Sequence[Lease]], None]) -> None:
        if told := leases[:BATCH]:
            tell(told)
            del leases[: len(told)]
            for lease in told:
                self._held.remove(lease)

    def _put_off(self, error: Unreachable) -> float:
        self._failures += 1
        pause = full_jitter(self._failures, base_seconds=0.5, cap_seconds=5.0)
        self._try_at = elapsed_clock() + pause
        self.observer.emit("server.unreachable", during="report", error=str(error), again_in_seconds=round(pause, 2))
        return pause
