"""What DTQ promises of each task, held against every change of its row, commit by commit.

The ledger reads all rows after each commit, names what has happened to each that changed (an `Event`), and checks that the
request that is being served may cause it, and that no guarantee is broken by it. It keeps books of its own, so that a row
that tells a wrong story is found out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from tasks.domain.lease import Lease
from tasks.domain.outcome import OutcomeKind
from tasks.domain.retry import RetryPolicy
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.domain.workflow import OnFailure
from tasks.models import Dependency, Queue, Task
from tests.model.acting import Acting
from tests.model.book import ENDED_BADLY, Book, check_wait, falls, forget_met, is_live
from tests.model.events import FOLLOWING, Event, Row, event_of, lease_of, place
from tests.model.faults import ProcessDied

PENDING, QUEUED, PROCESSING = TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.PROCESSING


class Ledger:
    """The rows as they stood after the last commit, and a book for each."""

    def __init__(self, now: Callable[[], datetime], policy: RetryPolicy) -> None:
        self._now = now
        self._backoff = timedelta(milliseconds=policy.backoff_ms)
        self._max_lost_leases = policy.max_lost_leases
        self._acting: list[Acting] = []
        self._checks = {
            Event.CLAIMED: self._claimed,
            Event.BEGUN: self._begun,
            Event.RENEWED: self._renewed,
            Event.SETTLED: self._settled,
            Event.RELEASED: self._released,
            Event.STOPPED: self._stopped,
            Event.WITHDRAWN: self._withdrawn,
            Event.LOST: self._lost,
            Event.PROMOTED: self._promoted,
            Event.RETRIED: self._retried,
            Event.UPDATED: self._updated,
            Event.NEEDED: self._needed,
            Event.FREED: self._freed,
            Event.FELLED: self._felled,
        }
        self.rows: dict[UUID, Row] = {}
        self.books: dict[UUID, Book] = {}
        self.created: dict[UUID, str | None] = {}
        """The tasks that there have ever been, with their idempotency keys."""
        self.won: dict[UUID, set[Lease]] = defaultdict(set)
        """The leases that were ever won under a claim's id."""
        self.settled: set[Lease] = set()
        """The leases under which an outcome was ever recorded."""
        self._new_needs: dict[UUID, dict[UUID, str]] = defaultdict(dict)
        self.violation: Exception | None = None
        """The first thing that was wrong."""

    @contextmanager
    def served(self, acting: Acting) -> Iterator[Acting]:
        """Hold all changes inside against what `acting` may cause."""
        self._acting.append(acting)
        try:
            yield acting
        finally:
            try:
                self.look()
            finally:
                self._acting.pop()

    @property
    def acting(self) -> Acting:
        """The request that is being served now."""
        return self._acting[-1]

    def is_held(self, lease: Lease) -> bool:
        """Whether the row is being run under this lease."""
        row = self.rows.get(lease.task_id)
        return row is not None and row.status == PROCESSING and lease_of(row) == lease

    def look(self) -> None:
        """Read the rows and judge what has changed."""
        rows = {row["id"]: Row(**row) for row in Task.objects.values()}
        paused = set(Queue.objects.filter(paused=True).values_list("name", flat=True))
        before, self.rows = self.rows, rows
        edges = Dependency.objects.filter(child_id__in=rows.keys() - before.keys())
        self._new_needs = defaultdict(dict)
        for child_id, parent_id, on_failure in edges.values_list("child_id", "parent_id", "on_failure"):
            self._new_needs[child_id][parent_id] = on_failure
        for book in self.books.values():
            forget_met(book.needs, rows)
        changed = sorted(id_ for id_ in before.keys() | rows.keys() if before.get(id_) != rows.get(id_))
        try:
            won = [rows[id_] for id_ in changed if self._judge(before.get(id_), rows.get(id_)) is Event.CLAIMED]
            assert not {row.queue for row in won} & paused, "a paused queue hands out nothing"
            self._check_order(won, before)
        except AssertionError as error:
            raise self.broken(error) from error

    def broken(self, error: Exception) -> ProcessDied:
        """Keep what is wrong, and stop who is being served: what serves a request may swallow an error in its midst."""
        self.violation = self.violation or error
        return ProcessDied()

    # --- what has happened -----------------------------------------------------------------------------------------

    def _judge(self, before: Row | None, after: Row | None) -> Event:
        row = after or before
        assert row is not None
        event = event_of(before, after)
        assert self._acting, f"{event} by nobody"
        assert event in self.acting.events, f"{event} by a request that may cause {sorted(self.acting.events)}"
        asked = self.acting.tasks is None or row.id in self.acting.tasks or event in FOLLOWING
        assert asked, f"{event} of a task that nobody asked about"
        if before is None:
            self._created(row)
        elif after is None:
            assert before.status in TERMINAL, "a task that has not ended is deleted"
            del self.books[row.id]
        else:
            if event in self._checks:
                self._checks[event](self.books[row.id], before, after)
            self._check_always(self.books[row.id], before, after, event)
        return event

    def _created(self, row: Row) -> None:
        assert row.idempotency_key in self.acting.keys
        self.created[row.id] = row.idempotency_key
        needs = self._new_needs[row.id]
        forget_met(needs, self.rows)
        self.books[row.id] = book = Book(not_before=row.scheduled_at or row.created_at, needs=needs)
        if falls(book, self.rows):
            assert row.status == TaskStatus.CANCELLED, "it waits for what has failed"
        else:
            check_wait(book, row)
            assert row.status == (PENDING if needs or book.not_before > self.acting.since else QUEUED)

    def _check_always(self, book: Book, before: Row, after: Row, event: Event) -> None:
        assert after.fencing_token >= before.fencing_token, "a token goes back"
        assert after.version >= before.version + (after.status != before.status), "observers do not see it"
        assert after.attempts - after.earlier_attempts == book.attempts, "attempts are miscounted"
        assert 0 <= book.attempts <= after.max_retries + 1, "more attempts than allowed"
        if before.status in TERMINAL and event is not Event.RETRIED:
            kept = ["status", "result", "error", "completed_at", "settled_token"]
            kept += ["attempts"] if event is not Event.WITHDRAWN else []
            assert all(getattr(after, name) == getattr(before, name) for name in kept), "what has ended moves"

    # --- a holder's way --------------------------------------------------------------------------------------------

    def _claimed(self, book: Book, before: Row, after: Row) -> None:
        acting, now = self.acting, self._now()
        assert (before.status, after.status) == (QUEUED, PROCESSING)
        assert book.live_until is None or book.live_until <= now, "two may run it at once"
        assert book.not_before <= now, "too early"
        assert not book.needs, "it starts before what it depends on has completed"
        assert after.name in acting.names and acting.team_id in (None, after.team_id), "not this worker's task"
        assert after.claim_id == acting.claim_id and not after.begun
        self.won[after.claim_id].add(lease_of(after))
        book.live_until, book.begun = after.lease_expires_at, False
        book.attempts += 1

    def _begun(self, book: Book, before: Row, after: Row) -> None:
        assert lease_of(before) in self.acting.leases, "begun by a stranger"
        book.begun = True

    def _renewed(self, book: Book, before: Row, after: Row) -> None:
        assert lease_of(before) in self.acting.leases, "renewed by a stranger"
        book.live_until = after.lease_expires_at

    def _released(self, book: Book, before: Row, after: Row) -> None:
        assert lease_of(before) in self.acting.leases, "released by a stranger"
        assert (after.status, after.rank) == (QUEUED, before.rank), "it loses its place"
        book.live_until = None
        book.attempts -= 1

    def _stopped(self, book: Book, before: Row, after: Row) -> None:
        assert self._may_end(book, before), "a stranger says that it has stopped"
        book.live_until = None

    def _withdrawn(self, book: Book, before: Row, after: Row) -> None:
        assert self._may_end(book, before), "withdrawn by a stranger"
        assert after.attempts == before.attempts - 1
        book.live_until = None
        if before.earlier_attempts < before.attempts:  # else it was retried, and that attempt is among the earlier ones
            book.attempts -= 1

    def _may_end(self, book: Book, before: Row) -> bool:
        """Whether its holder speaks, or the lease has ended."""
        ended = book.live_until is not None and book.live_until < self._now()
        return ended or lease_of(before) in self.acting.leases

    def _settled(self, book: Book, before: Row, after: Row) -> None:
        lease = lease_of(before)
        outcome = next((each for each in self.acting.outcomes if each.lease == lease), None)
        assert outcome is not None, "settled by a stranger"
        assert after.settled_token == after.fencing_token == lease.fencing_token, "settled under another token"
        assert lease not in self.settled, "settled twice"
        self.settled.add(lease)
        if before.status != PROCESSING:
            assert outcome.kind is OutcomeKind.COMPLETED and before.status in (PENDING, QUEUED), "too late"
            assert before.lease_expires_at is None
            book.attempts += not book.begun
        book.live_until = None
        match outcome.kind:
            case OutcomeKind.COMPLETED:
                assert (after.status, after.result) == (TaskStatus.COMPLETED, outcome.result)
            case OutcomeKind.DISCARDED:
                assert after.status == TaskStatus.FAILED
            case OutcomeKind.FAILED:
                book.failures += 1
                used_up = book.attempts > after.max_retries
                self._follows(book, after, TaskStatus.DEAD_LETTER if used_up else PENDING, book.failures)

    def _lost(self, book: Book, before: Row, after: Row) -> None:
        assert self._may_end(book, before), "a lease is taken before its end"
        book.begun = book.begun or lease_of(before) in self.acting.leases
        book.live_until = None
        book.losses = book.losses + 1 if book.begun else max(book.losses, 1)
        book.attempts -= not book.begun
        if book.begun and (book.losses > self._max_lost_leases or book.attempts > after.max_retries):
            assert after.status == TaskStatus.DEAD_LETTER
        else:
            self._follows(book, after, QUEUED if book.losses < 2 else PENDING, book.losses - 1)

    def _follows(self, book: Book, after: Row, status: TaskStatus, times: int) -> None:
        assert after.status == status
        if status == PENDING:
            wait = after.scheduled_at - self.acting.since
            assert wait >= self._backoff * 2 ** (times - 1), "its backoff is too short"
            book.not_before = after.scheduled_at

    # --- what people and duties ask for ----------------------------------------------------------------------------

    def _promoted(self, book: Book, before: Row, after: Row) -> None:
        assert book.not_before <= self._now(), "too early"
        assert book.live_until is None or book.live_until <= self._now(), "its cancelled attempt may still run"

    def _retried(self, book: Book, before: Row, after: Row) -> None:
        assert before.status != TaskStatus.COMPLETED and (after.error, after.result) == ("", None)
        book.not_before = self.acting.since
        book.needs |= {id_: OnFailure.HOLD for id_ in book.needs if self.rows[id_].status in ENDED_BADLY}
        check_wait(book, after)
        book.attempts = book.failures = book.losses = 0

    def _updated(self, book: Book, before: Row, after: Row) -> None:
        book.not_before = after.scheduled_at or book.not_before
        assert after.status == QUEUED or after.hold == Hold.DEPENDENCY or after.scheduled_at is not None

    # --- what tasks need of each other -----------------------------------------------------------------------------

    def _needed(self, book: Book, before: Row, after: Row) -> None:
        assert Row(**vars(before) | {"has_dependants": True}) == after, "more than the mark has changed"

    def _freed(self, book: Book, before: Row, after: Row) -> None:
        assert not book.needs, "it is freed before what it depends on has completed"
        assert after.status == (
            PENDING if book.not_before > self.acting.since or is_live(book, self._now()) else QUEUED
        )

    def _felled(self, book: Book, before: Row, after: Row) -> None:
        assert falls(book, self.rows), "it is cancelled with what has not failed"

    def held_by_what_has_failed(self) -> set[UUID]:
        """The tasks that ended badly and for whose retry others wait."""
        waiting = (book for id_, book in self.books.items() if self.rows[id_].hold == Hold.DEPENDENCY)
        return {id_ for book in waiting for id_ in book.needs if self.rows[id_].status in ENDED_BADLY}

    # --- order -----------------------------------------------------------------------------------------------------

    def _check_order(self, won: list[Row], before: dict[UUID, Row]) -> None:
        ids = {row.id for row in won}
        for hint in self.acting.standing if won else ():
            row = before.get(hint.id)
            ready = row is not None and row.status == QUEUED and (row.queue, row.rank) == (hint.queue, hint.rank)
            if ready and hint.id not in ids:
                behind = [each for each in won if each.queue == hint.queue and place(each) > (hint.rank, hint.id)]
                assert not behind, "one ahead of it stood in the index"
