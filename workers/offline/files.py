"""The files of a store as such: of which version and for which server they are, and what can be read while another holds one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tasks.domain.lease import Lease
from workers.offline.errors import translated
from workers.offline.rows import UNREADABLE, read_lease

_SCHEMAS = [Path(__file__).with_name(name) for name in ("schema.sql", "schema_2.sql", "schema_3.sql")]
"""What makes of a file of one version one of the next; the first makes one of an empty file."""

VERSION = len(_SCHEMAS)


@dataclass(frozen=True)
class Origin:
    """The server that the rows of a file are for, and the boot of the host in which its leases were claimed.

    A file that names no server is anybody's. Those of earlier versions name neither.
    """

    server: str = ""
    boot: str = ""


def write_origin(connection: sqlite3.Connection, origin: Origin) -> None:
    """Note it in a new file. It makes no new version of the file: earlier workers read one that has it as they do others."""
    connection.execute("CREATE TABLE origin AS SELECT ? AS server, ? AS boot", (origin.server, origin.boot))


def read_origin(connection: sqlite3.Connection) -> Origin:
    """What the file says of it."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'origin'").fetchone() is None:
        return Origin()
    return Origin(*(connection.execute("SELECT server, boot FROM origin").fetchone() or ()))


def origin_of(path: Path) -> Origin:
    """The origin of a file that need not be opened for it. Raises StoreError."""
    with translated(), closing(opened_to_read(path)) as connection:
        return read_origin(connection)


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
