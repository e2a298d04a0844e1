"""One SQLite file of outcomes and log lines. What `keep` has returned from survives the process and the machine's power.

Knows nothing of who may use the file: that is `folder.py`'s. One thread at a time.

    StoreError           the disk or SQLite refused; the message says how
    ├── StoreFull        the file has reached its bound, or the disk is full; nothing of this call was kept
    ├── StoreDamaged     the file cannot be read as what it should be
    └── StoreTooNew      a later version of DTQ has written the file
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind, spelled_out
from workers.transports.base import Note

Item = TypeVar("Item")
_Row = tuple[Any, ...]

VERSION = 1
_SCHEMA = Path(__file__).with_name("schema.sql")
_UNREADABLE = (AttributeError, TypeError, ValueError)
_LEASE = "task_id = ? AND fencing_token = ? AND claim_id = ?"


class StoreError(Exception):
    """The file cannot be used."""


class StoreFull(StoreError):
    """There is no room for more."""


class StoreDamaged(StoreError):
    """The file cannot be read as an outbox."""


class StoreTooNew(StoreError):
    """The file is of a later version."""


class Store:
    """The file at `path`, made if there is none. It grows to `most_bytes`; a log beside it takes a few megabytes more."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        with _translated():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with _translated():
                self._prepare(most_bytes)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, most_bytes: int) -> None:
        version = self._value("PRAGMA user_version")
        if version > VERSION:
            raise StoreTooNew(f"it is of version {version}, and this worker reads versions up to {VERSION}")
        if (found := self._value("PRAGMA quick_check(1)")) != "ok":
            raise StoreDamaged(found)
        self._value("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # in WAL mode NORMAL would lose commits with the power
        self._value(f"PRAGMA max_page_count = {most_bytes // self._value('PRAGMA page_size')}")
        if version == 0:
            schema = _SCHEMA.read_text()
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {VERSION}; COMMIT")

    # --- keeping ---------------------------------------------------------------------------------------------------

    def keep(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> None:
        """Have all of them on disk, or none and an error. What is kept already stays as it is."""
        with _translated(), self._transaction():
            self._connection.executemany(
                "INSERT OR IGNORE INTO outcome (task_id, fencing_token, claim_id, kind, run_seconds, result, error,"
                " retry_delay_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                map(_outcome_row, outcomes),
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO note (task_id, fencing_token, claim_id, attempt, sequence, level, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                map(_note_row, notes),
            )

    def forget_outcomes(self, leases: Iterable[Lease]) -> None:
        """The server has taken the outcomes that bear these leases."""
        with _translated(), self._transaction():
            self._connection.executemany(f"DELETE FROM outcome WHERE {_LEASE}", map(_lease_row, leases))

    def forget_notes(self, notes: Iterable[Note]) -> None:
        """The server has taken these log lines."""
        rows = ((*_lease_row(note.lease), note.sequence) for note in notes)
        with _translated(), self._transaction():
            self._connection.executemany(f"DELETE FROM note WHERE {_LEASE} AND sequence = ?", rows)

    # --- reading ---------------------------------------------------------------------------------------------------

    def outcomes(self, limit: int) -> list[Outcome]:
        """The oldest outcomes."""
        return self._read(_outcome, "SELECT * FROM outcome ORDER BY position LIMIT ?", limit)

    def notes(self, limit: int) -> list[Note]:
        """The oldest log lines."""
        return self._read(_note, "SELECT * FROM note ORDER BY position LIMIT ?", limit)

    def _read(self, make: Callable[[_Row], Item], query: str, *values: int) -> list[Item]:
        with _translated():
            rows = self._connection.execute(query, values).fetchall()
        try:
            return [make(row) for row in rows]
        except _UNREADABLE as error:
            raise StoreDamaged(f"a row cannot be read: {error}") from error

    def _value(self, statement: str) -> Any:
        return self._connection.execute(statement).fetchone()[0]

    # --- the file --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Use the file no longer; what it keeps stays."""
        self._connection.close()

    def remove(self) -> None:
        """Close it and remove the file."""
        self.close()
        for path in with_logs(self.path):
            path.unlink(missing_ok=True)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def with_logs(path: Path) -> list[Path]:
    """The file of that path, and those that SQLite keeps beside it."""
    return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]


def leases_in(path: Path) -> set[Lease]:
    """The leases of the outcomes in a file that another process may hold; none if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return set(map(_lease, connection.execute("SELECT * FROM outcome")))
    except (sqlite3.Error, *_UNREADABLE):
        return set()


_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL) & 0xFF  # the rest of it says which kind
        if code == sqlite3.SQLITE_FULL:
            raise StoreFull(str(error)) from error
        raise (StoreDamaged if code in _DAMAGE else StoreError)(str(error)) from error


# --- rows ----------------------------------------------------------------------------------------------------------


def _lease_row(lease: Lease) -> _Row:
    return (str(lease.task_id), lease.fencing_token, str(lease.claim_id))


def _outcome_row(outcome: Outcome) -> _Row:
    return (
        *_lease_row(outcome.lease),
        str(outcome.kind),
        outcome.run_seconds,
        json.dumps(outcome.result, separators=(",", ":")),
        spelled_out(outcome.error),
        outcome.retry_delay_seconds,
    )


def _note_row(note: Note) -> _Row:
    return (*_lease_row(note.lease), note.attempt, note.sequence, note.level, spelled_out(note.message))


def _lease(row: _Row) -> Lease:
    _, task_id, fencing_token, claim_id, *_ = row
    return Lease(UUID(task_id), fencing_token, UUID(claim_id))


def _outcome(row: _Row) -> Outcome:
    kind, run_seconds, result, error, retry_delay_seconds = row[4:]
    return Outcome(_lease(row), OutcomeKind(kind), run_seconds, json.loads(result), error, retry_delay_seconds)


def _note(row: _Row) -> Note:
    return Note(_lease(row), *row[4:])
