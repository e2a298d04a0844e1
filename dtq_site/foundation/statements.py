"""Statements worded by hand, and transactions of them that make few round trips. The ORM is for all else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from dtq_site.foundation.connections import give_up
from dtq_site.foundation.database import STATEMENT_BYTES, repeating


@dataclass(frozen=True)
class Found:
    """What a statement has met: how many rows, and the values of those that it reads."""

    count: int
    rows: Sequence[tuple[Any, ...]]


def _found(cursor: Any) -> Found:
    return Found(cursor.rowcount, cursor.fetchall() if cursor.description else ())


@dataclass(frozen=True)
class Statement:
    """One statement with its values, worded by the owner of the rows; `weight` is how many bytes of JSON and text it carries."""

    sql: str
    values: Sequence[Any]
    weight: int = 0

    def run(self) -> Found:
        """Execute it on this thread's connection."""
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.values)
            return _found(cursor)


def write_together(statements: Sequence[Statement]) -> None:
    """Run the statements in one transaction of their own, repeated as by `repeats_lock_conflicts`.

    On MySQL and MariaDB they make one round trip, unless they carry more than one packet should. Call it outside of a
    transaction.
    """
    light = sum(statement.weight for statement in statements) <= STATEMENT_BYTES
    run = _send_together if light and connection.vendor == "mysql" else _run_each
    repeating(lambda: run(statements))


def _run_each(statements: Sequence[Statement]) -> None:
    with transaction.atomic():
        for statement in statements:
            statement.run()


def _send_together(statements: Sequence[Statement]) -> None:
    text = "; ".join(["START TRANSACTION", *(statement.sql for statement in statements), "COMMIT"])
    if connection.mysql_is_mariadb:  # as a block it is answered once, not statement by statement
        text = f"BEGIN NOT ATOMIC {text}; END"
    with connection.cursor() as cursor:
        try:
            cursor.execute(text, [value for statement in statements for value in statement.values])
            while cursor.nextset():
                pass
        except BaseException:  # it stands in a transaction that Django does not know of, perhaps with answers unread
            give_up(connection)
            raise


def write_and_judge(statements: Sequence[Statement], judge: Callable[[Found], Sequence[Statement] | None]) -> bool:
    """Run the statements in one transaction, then those that `judge` adds when it sees what the last one has met.

    If it answers None all is undone; returns whether all was written. Outside of a transaction it is repeated as by
    `repeats_lock_conflicts`, and makes two round trips on MySQL and MariaDB.
    """
    if connection.in_atomic_block:
        return _judge_in_block(statements, judge)
    run = _judge_by_trips if connection.vendor == "mysql" else _judge_in_block
    return repeating(lambda: run(statements, judge))


def _judge_in_block(statements: Sequence[Statement], judge: Callable[[Found], Sequence[Statement] | None]) -> bool:
    with transaction.atomic():
        found = [statement.run() for statement in statements][-1]
        added = judge(found)
        if added is None:
            transaction.set_rollback(True)
        for statement in added or ():
            statement.run()
    return added is not None


def _judge_by_trips(statements: Sequence[Statement], judge: Callable[[Found], Sequence[Statement] | None]) -> bool:
    with connection.cursor() as cursor:
        try:
            found = _send(cursor, "START TRANSACTION", *statements)
            added = judge(found)
            _send(cursor, *(added or ()), "ROLLBACK" if added is None else "COMMIT")
        except BaseException:  # see `_send_together`
            give_up(connection)
            raise
    return added is not None


def _send(cursor: Any, *parts: str | Statement) -> Found:
    """Execute all in one round trip; returns what the last one has met."""
    statements = [Statement(part, ()) if isinstance(part, str) else part for part in parts]
    text = "; ".join(statement.sql for statement in statements)
    cursor.execute(text, [value for statement in statements for value in statement.values])
    found = _found(cursor)
    while cursor.nextset():
        found = _found(cursor)
    return found
