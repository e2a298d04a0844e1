"""The files of a store as such: which there are, of which version, and what can be read of one that another process holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tasks.domain.lease import Lease
from workers.offline.rows import UNREADABLE, read_lease

_SCHEMAS = [Path(__file__).with_name(name) for name in ("schema.sql", "schema_2.sql", "schema_3.sql")]
"""What makes of a file of one version one of the next; the first makes one of an empty file."""

VERSION = len(_SCHEMAS)


def steps_from(version: int) -> str:
    """The script that makes of a file of that version one of the present version, or leaves it as it is."""
    steps = "".join(path.read_text() for path in _SCHEMAS[version:])
    return f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT"


def with_logs(path: Path) -> list[Path]:
    """The file of that path, and those that SQLite keeps beside it."""
    return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]


def leases_in(path: Path) -> set[Lease]:
    """The leases of the outcomes in a file that another process may hold; none if it cannot be read."""
    try:
        with closing(opened_to_read(path)) as connection:
            return set(map(read_lease, connection.execute("SELECT * FROM outcome")))
    except (sqlite3.Error, *UNREADABLE):
        return set()


def opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection to a file that another process may hold. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
