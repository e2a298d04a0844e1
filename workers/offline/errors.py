"""What may be wrong with the file of a store.

StoreError           the disk or SQLite refused; the message says how
├── StoreFull        the file has reached its bound, or the disk is full; nothing of this call was kept
├── StoreDamaged     the file cannot be read as what it should be
└── StoreTooNew      a later version of DTQ has written the file
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


class StoreError(Exception):
    """The file cannot be used."""


class StoreFull(StoreError):
    """There is no room for more."""


class StoreDamaged(StoreError):
    """The file cannot be read as an outbox."""


class StoreTooNew(StoreError):
    """The file is of a later version."""


_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


@contextmanager
def translated() -> Iterator[None]:
    """Within the block SQLite's errors are those of a store."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL) & 0xFF  # the rest of it says which kind
        if code == sqlite3.SQLITE_FULL:
            raise StoreFull(str(error)) from error
        raise (StoreDamaged if code in _DAMAGE else StoreError)(str(error)) from error
