"""What DTQ needs of a database beyond the ORM: its clock, keys and indexes, and repeats after a deadlock."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.datastructures import BaseTable

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import DatabaseClock
from dtq_site.foundation.ids import IdMaker

STATEMENT_BYTES = 4 * 1024 * 1024
"""How many bytes of JSON and text one statement carries. MariaDB accepts 16 MB."""

ESCAPED = 3.5
"""How many times as many they are at most in a statement."""

_MOST_TRIES = 5

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_NOW = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}
_CONFLICT_OF_ERROR = {1213: "deadlock", 1205: "lock_wait"}
LOCK_CONFLICTS = tuple(_CONFLICT_OF_ERROR.values())
"""The kinds in which lost transactions are counted."""


def sample_database_clock() -> datetime:
    """The database's UTC, by one query. Django's `Now()` is the server's local time on MySQL."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor])
        (value,) = cursor.fetchone()
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC)


database_clock = DatabaseClock(sample_database_clock)
ids = IdMaker(database_clock)


class KeyField(models.CharField):
    """Text that is compared byte by byte on every database, trailing blanks included.

    MariaDB's default collation takes ``bob``, ``Bob`` and ``Bob `` for the same key.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict:
        """What the database is told of the column: on MySQL and MariaDB, to compare bytes."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
        return parameters


@models.CharField.register_lookup
class Unindexed(models.Transform):
    """`column__unindexed`: the column in the guard of an UPDATE that finds its rows by key.

    MariaDB would otherwise find them by an index on the column when few rows have the value, and wait for those of others
    that it meets there.
    """

    lookup_name = "unindexed"

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, list[Any]]:
        """The column itself."""
        return compiler.compile(self.lhs)

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, list[Any]]:
        """The column as an expression."""
        column, parameters = compiler.compile(self.lhs)
        return f"CONCAT({column}, '')", parameters


class _ThroughIndex(BaseTable):
    """A table of which the rows are found by one index."""

    index: str

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        """The table, and on MySQL and MariaDB which index."""
        table, parameters = super().as_sql(compiler, connection)
        hint = f" FORCE INDEX ({connection.ops.quote_name(self.index)})" if connection.vendor == "mysql" else ""
        return table + hint, parameters

    def relabeled_clone(self, change_map: Mapping[str, str]) -> _ThroughIndex:
        """The same under another name, as in a subquery."""
        clone = super().relabeled_clone(change_map)
        clone.index = self.index
        return clone


def through_index(rows: models.QuerySet, index: str) -> models.QuerySet:
    """The same rows, found by that index of theirs, whatever the database would guess.

    MariaDB takes what is looked for to be spread evenly over a table; with a LIMIT it then scans in the order of another index.
    """
    forced = rows.all()
    name = forced.query.get_initial_alias()
    table = _ThroughIndex(forced.query.alias_map[name].table_name, name)
    table.index = index
    forced.query.alias_map[name] = table
    return forced


def is_lock_conflict(error: Exception) -> bool:
    """Whether the database gave up this transaction in favour of another one."""
    if not isinstance(error, OperationalError):
        return False
    return _kind_of_conflict(error) is not None or "database is locked" in str(error)


def _kind_of_conflict(error: OperationalError) -> str | None:
    # SQLite's "database is locked" is none to be repeated: it says so only after a wait of its own.
    return _CONFLICT_OF_ERROR.get(error.args[0]) if error.args else None


def repeats_lock_conflicts(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Run `function` in one transaction, again when MariaDB let it lose a deadlock or a wait for a lock (up to five times).

    Inside a caller's transaction it runs once: the database has undone the caller's work too, so the caller must repeat.
    """

    @functools.wraps(function)
    def repeated(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        def run() -> Answer:
            with transaction.atomic():
                return function(*args, **kwargs)

        return run() if connection.in_atomic_block else repeating(run)

    return repeated


def repeating(run: Callable[[], Answer]) -> Answer:
    """Run a whole transaction, again when it lost a deadlock or a wait for a lock; see `repeats_lock_conflicts`."""
    lost: Counter[str] = Counter()
    try:
        while True:
            try:
                return run()
            except OperationalError as error:
                kind = _kind_of_conflict(error)
                if kind is None:
                    raise
                lost[kind] += 1
                if lost.total() >= _MOST_TRIES:
                    raise
            time.sleep(full_jitter(lost.total(), base_seconds=0.01, cap_seconds=0.25))
    finally:
        if lost:
            _count_conflicts(lost)


def _nobody(lost: Mapping[str, int]) -> None:
    """Counts nothing."""


_count_conflicts: Callable[[Mapping[str, int]], None] = _nobody


def count_conflicts_by(count: Callable[[Mapping[str, int]], None]) -> None:
    """Let `count` hear of lost deadlocks and waits for locks, by kind, after the transaction that met them has ended."""
    global _count_conflicts
    _count_conflicts = count
