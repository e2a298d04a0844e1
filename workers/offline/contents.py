"""What the store of a worker holds, for people: readable at any moment, without a server, and whoever holds the files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dtq_site.foundation.clock import LeaseTimer
from workers.offline.files import VERSION, opened_to_read, read_origin, steps_from
from workers.offline.rows import UNREADABLE, read_claimed, read_creation, read_outcome

_TABLES = {
    "claimed": "tasks held",
    "outcome": "outcomes to report",
    "note": "log lines",
    "progress": "notes of progress",
    "creation": "tasks to create",
}


@dataclass(frozen=True)
class Contents:
    """One file: how many rows of each kind, a line for each thing that is worth one, and the server that all of it is for."""

    path: Path
    counts: dict[str, int]
    lines: list[str]
    trouble: str = ""
    server: str = ""


def describe(folder: Path) -> list[str]:
    """The same in words."""
    lines = []
    for file in contents_of(folder):
        kinds = ", ".join(f"{count} {kind}" for kind, count in file.counts.items() if count)
        where = f"{file.path}, for {file.server}" if file.server else file.path
        lines.append(f"{where}: {f'cannot be read: {file.trouble}' if file.trouble else kinds or 'empty'}")
        lines += [f"  {line}" for line in file.lines]
    return lines or [f"{folder}: nothing is kept"]


def contents_of(folder: Path) -> list[Contents]:
    """What the files of the folder hold, those that were set aside included."""
    return [_contents(path) for path in sorted(folder.glob("outbox-*.sqlite3*")) if _is_file_of_rows(path)]


def _is_file_of_rows(path: Path) -> bool:
    return not path.name.endswith(("-wal", "-shm", ".lock"))


def _contents(path: Path) -> Contents:
    try:
        with closing(_copy_of(path)) as connection:
            counts = {kind: _count(connection, table) for table, kind in _TABLES.items()}
            return Contents(path, counts, list(_lines(connection)), server=read_origin(connection).server)
    except (sqlite3.Error, *UNREADABLE) as error:
        return Contents(path, {}, [], str(error))


def _copy_of(path: Path) -> sqlite3.Connection:
    """The file in memory, and there of the present version."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    try:
        with closing(opened_to_read(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.backup(copy)
        if version < VERSION:
            copy.executescript(steps_from(version))
    except BaseException:
        copy.close()
        raise
    return copy


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _lines(connection: sqlite3.Connection) -> Iterator[str]:
    timer = LeaseTimer(margin_seconds=0)
    for row in map(read_claimed, connection.execute("SELECT * FROM claimed ORDER BY position")):
        left = timer.remaining_seconds(row.sent, row.task.lease_seconds)
        lease = f"lease for {left:.0f} s" if left > 0 else f"lease ended {-left:.0f} s ago"
        stage = "given up" if row.given_up else "begun" if row.begun else "not begun"
        yield f"held      {row.task.lease.task_id} {row.task.name}: {stage}, {lease}"
    for outcome in map(read_outcome, connection.execute("SELECT * FROM outcome ORDER BY position")):
        yield f"outcome   {outcome.lease.task_id} {outcome.kind}" + (f": {outcome.error}" if outcome.error else "")
    for creation in map(read_creation, connection.execute("SELECT * FROM creation ORDER BY position")):
        yield f"to create {creation.key} {creation.request.name}, asked for at {creation.asked_at.isoformat(timespec='seconds')}"
