"""One SQLite file of what a worker process must not forget. What a method has written survives the process and the
machine's power.

Knows nothing of who may use the file: that is `folder.py`'s. Thread-safe. Raises what `errors.py` says.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome
from workers.offline.errors import StoreDamaged, StoreFull, StoreTooNew, translated
from workers.offline.files import VERSION, Origin, read_origin, steps_from, with_logs, write_origin
from workers.offline.rows import (
    BEGUN,
    GIVEN_UP,
    UNREADABLE,
    AskedClaim,
    ClaimedRow,
    Creation,
    Row,
    claimed_row,
    creation_row,
    lease_row,
    note_row,
    outcome_row,
    read_claimed,
    read_creation,
    read_note,
    read_outcome,
    read_progress,
)
from workers.transports.base import Note

Item = TypeVar("Item")

TABLES = ("outcome", "note", "progress", "claimed", "asked", "creation")
_LOG_BYTES = 256 * 1024
"""From what size on the log is emptied into the file: a small disk must not be filled by the log alone."""

RESERVE_BYTES = 256 * 1024
"""How much of the disk is left free, so that what is settled can be forgotten: that, too, has to be written."""

NONE: Mapping[Lease, int] = MappingProxyType({})
_LEASE = "task_id = ? AND fencing_token = ? AND claim_id = ?"


class Store:
    """The file at `path`, made if there is none, and then of that `origin`. It grows to `most_bytes`; a log beside it takes as
    much as a commit or two.
    """

    def __init__(self, path: Path, most_bytes: int, origin: Origin | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        with translated():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with translated():
                self._prepare(most_bytes)
                if origin is not None:
                    write_origin(self._connection, origin)
                self.origin = read_origin(self._connection)
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
        self._value(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // self._value('PRAGMA page_size')}")
        self._value(f"PRAGMA max_page_count = {most_bytes // self._value('PRAGMA page_size')}")
        if version < VERSION:
            self._connection.executescript(steps_from(version))

    # --- what is to be told ----------------------------------------------------------------------------------------

    def keep(self, outcomes: Sequence[Outcome], notes: Sequence[Note], progress: Mapping[Lease, int] = NONE) -> None:
        """Have all of them on disk, or none and an error. What is kept already stays as it is, but for progress."""
        told = [(*lease_row(lease), percent) for lease, percent in progress.items()]
        ended, said = list(map(outcome_row, outcomes)), list(map(note_row, notes))
        with self._transaction(ended, said, told):
            self._many(
                "INSERT OR IGNORE INTO outcome (task_id, fencing_token, claim_id, kind, run_seconds, result, error,"
                " retry_delay_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ended,
            )
            self._many(
                "INSERT OR IGNORE INTO note (task_id, fencing_token, claim_id, attempt, sequence, level, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                said,
            )
            self._many(
                "INSERT OR REPLACE INTO progress (task_id, fencing_token, claim_id, percent) VALUES (?, ?, ?, ?)", told
            )

    def forget_outcomes(self, leases: Iterable[Lease]) -> None:
        """The server has taken the outcomes that bear these leases."""
        with self._transaction():
            self._many(f"DELETE FROM outcome WHERE {_LEASE}", map(lease_row, leases))

    def forget_notes(self, notes: Iterable[Note]) -> None:
        """The server has taken these log lines."""
        with self._transaction():
            self._many(
                f"DELETE FROM note WHERE {_LEASE} AND sequence = ?",
                ((*lease_row(note.lease), note.sequence) for note in notes),
            )

    def forget_progress(self, leases: Iterable[Lease]) -> None:
        """The server has taken how far the attempts are that bear these leases."""
        with self._transaction():
            self._many(f"DELETE FROM progress WHERE {_LEASE}", map(lease_row, leases))

    def outcomes(self, limit: int) -> list[Outcome]:
        """The oldest outcomes."""
        return self._read(read_outcome, "SELECT * FROM outcome ORDER BY position LIMIT ?", limit)

    def notes(self, limit: int) -> list[Note]:
        """The oldest log lines."""
        return self._read(read_note, "SELECT * FROM note ORDER BY position LIMIT ?", limit)

    def progress(self, limit: int) -> dict[Lease, int]:
        """How far attempts are, in per cent."""
        return dict(self._read(read_progress, "SELECT * FROM progress ORDER BY position LIMIT ?", limit))

    # --- what is held ----------------------------------------------------------------------------------------------

    def hold(
        self, tasks: Sequence[LeasedTask], sent: tuple[float, float, float], asks_next: AskedClaim | None = None
    ) -> None:
        """Note claimed tasks, before any of them runs; `sent` are the clocks' readings from before the claim.

        Their claim is answered then, and the next one is noted beforehand.
        """
        rows = [claimed_row(task, sent) for task in tasks]
        with self._transaction(rows):
            self._ask(asks_next)
            self._many(
                "INSERT OR IGNORE INTO claimed (task_id, fencing_token, claim_id, task, begun, lease_seconds,"
                " sent_monotonic, sent_boot, sent_wall) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def begin(self, leases: Iterable[Lease]) -> None:
        """Note that handlers of claimed tasks may have done anything."""
        self._mark(BEGUN, leases)

    def give_up(self, leases: Iterable[Lease]) -> None:
        """Note that claimed tasks are being given back: from now on they may be another worker's."""
        self._mark(GIVEN_UP, leases)

    def _mark(self, begun: int, leases: Iterable[Lease]) -> None:
        with self._transaction():
            self._many(f"UPDATE claimed SET begun = {begun} WHERE {_LEASE}", map(lease_row, leases))

    def extend(self, renewals: Mapping[Lease, tuple[float, tuple[float, float, float]]]) -> None:
        """Note how long leases last: the seconds, and the clocks' readings from which they count."""
        with self._transaction():
            self._many(
                "UPDATE claimed SET lease_seconds = ?, sent_monotonic = ?, sent_boot = ?, sent_wall = ?"
                f" WHERE {_LEASE}",
                ((seconds, *sent, *lease_row(lease)) for lease, (seconds, sent) in renewals.items()),
            )

    def let_go(self, leases: Iterable[Lease]) -> None:
        """Claimed tasks are settled, or no longer this worker's."""
        with self._transaction():
            self._many(f"DELETE FROM claimed WHERE {_LEASE}", map(lease_row, leases))

    def claimed(self) -> list[ClaimedRow]:
        """All claimed tasks, in the order in which they were claimed."""
        return self._read(read_claimed, "SELECT * FROM claimed ORDER BY position LIMIT ?", -1)

    def ask(self, claim: AskedClaim | None) -> None:
        """Note a claim before it is sent, in place of the one before; None: that one has been answered."""
        with self._transaction():
            self._ask(claim)

    def asked(self) -> AskedClaim | None:
        """The claim that was sent and not answered."""
        query = "SELECT * FROM asked ORDER BY position LIMIT ?"
        return next(iter(self._read(lambda row: AskedClaim(UUID(row[1]), UUID(row[2])), query, 1)), None)

    def _ask(self, claim: AskedClaim | None) -> None:
        self._connection.execute("DELETE FROM asked")
        if claim is not None:
            values = (str(claim.worker_id), str(claim.claim_id))
            self._connection.execute("INSERT INTO asked (worker_id, claim_id) VALUES (?, ?)", values)

    # --- what is to be created -------------------------------------------------------------------------------------

    def request(self, creations: Sequence[Creation]) -> None:
        """Note tasks that are to be created. One whose key is known already is the same one."""
        rows = list(map(creation_row, creations))
        with self._transaction(rows):
            self._many(
                "INSERT OR IGNORE INTO creation (idempotency_key, request, asked_at, parent, call) VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def forget_creations(self, creations: Iterable[Creation]) -> None:
        """The server has created these tasks, or refused to for good."""
        with self._transaction():
            self._many("DELETE FROM creation WHERE idempotency_key = ?", ((creation.key,) for creation in creations))

    def creations(self, limit: int) -> list[Creation]:
        """The oldest tasks to be created, and the rest of the last one's call."""
        found = self._read(read_creation, "SELECT * FROM creation ORDER BY position LIMIT ?", limit)
        if not found or not found[-1].call:
            return found
        rest = "SELECT * FROM creation WHERE call = ? ORDER BY position LIMIT -1 OFFSET ?"
        call = found[-1].call
        return found + self._read(read_creation, rest, call, sum(each.call == call for each in found))

    # --- the file --------------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept in it."""
        kept = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in TABLES)
        with self._lock, translated():
            return not self._value(f"SELECT {kept}")

    def close(self) -> None:
        """Use the file no longer; what it keeps stays."""
        self._connection.close()

    def remove(self) -> None:
        """Close it and remove the file."""
        self.close()
        for path in with_logs(self.path):
            path.unlink(missing_ok=True)

    def _read(self, make: Callable[[Row], Item], query: str, *values: int | str) -> list[Item]:
        with self._lock, translated():
            rows = self._connection.execute(query, values).fetchall()
        try:
            return [make(row) for row in rows]
        except UNREADABLE as error:
            raise StoreDamaged(f"a row cannot be read: {error}") from error

    def _many(self, statement: str, rows: Iterable[Row]) -> None:
        self._connection.executemany(statement, rows)

    def _value(self, statement: str) -> Any:
        return self._connection.execute(statement).fetchone()[0]

    def _has_room(self, size: int) -> bool:
        """Whether so much can be written to the log and to the file; forgetting it must have room then, too."""
        unused = self._value("PRAGMA freelist_count") * self._value("PRAGMA page_size")
        return bool(shutil.disk_usage(self.path.parent).free >= size + max(0, size - unused) + RESERVE_BYTES)

    def _makes_room(self, size: int) -> bool:
        return (self._empty_log() and self._has_room(size)) or (self._shrink() and self._has_room(size))

    def _empty_log(self) -> bool:
        return not self._value("PRAGMA wal_checkpoint(TRUNCATE)")

    def _shrink(self) -> bool:
        """Give the disk back what of the file is not used any more, if what is used can be copied: the log needs room, too."""
        unused = self._value("PRAGMA freelist_count")
        used = (self._value("PRAGMA page_count") - unused) * self._value("PRAGMA page_size")
        if not unused or shutil.disk_usage(self.path.parent).free < used + RESERVE_BYTES:
            return False
        self._connection.execute("VACUUM")
        return self._empty_log()

    @contextmanager
    def _transaction(self, *added: Sequence[Row]) -> Iterator[None]:
        """All or nothing. Raises StoreFull for rows to be `added` for which the disk has no room."""
        with self._lock, translated():
            size = sum(len(value) for rows in added for row in rows for value in row if isinstance(value, str))
            if size and not (self._has_room(size) or self._makes_room(size)):
                raise StoreFull("the disk has no room for it")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
