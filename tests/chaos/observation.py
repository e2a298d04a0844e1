"""Reads the rows of a run past the product: straight from MariaDB, while it goes on and at its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import MySQLdb

from tasks.domain.states import TERMINAL
from tests.chaos.evidence import Ending, Row, SeenLease

_ROWS = """
    SELECT id, name, JSON_VALUE(payload, '$.number'), idempotency_key, queue, `rank`, status, attempts, failures,
           lost_leases, max_retries, result, error, settled_token, queued_at, started_at
    FROM tasks_task
"""
_ENDINGS = "SELECT task_id, fencing_token, ending, ended_at, worker_id FROM tasks_taskattempt ORDER BY id"
_LEASES = "SELECT id, fencing_token, lease_expires_at FROM tasks_task WHERE status = 'PROCESSING'"
_OPEN = "SELECT COUNT(*) FROM tasks_task WHERE status NOT IN %s"


class Observer:
    """Looks at the tables of one MariaDB server, each time through a new connection that `connect` makes."""

    def __init__(self, connect: Callable[[], MySQLdb.Connection]) -> None:
        self._connect = connect

    def rows(self) -> dict[str, Row]:
        """Every task by id."""
        return {row.task: row for row in map(_row, self._select(_ROWS))}

    def endings(self) -> list[Ending]:
        """Every remembered ending, in the order in which they were written."""
        rows = self._select(_ENDINGS)
        return [Ending(task, token, ending, _seconds(at), worker) for task, token, ending, at, worker in rows]

    def leases(self) -> list[SeenLease]:
        """The leases that are held now; none if MariaDB does not answer."""
        try:
            return [SeenLease(task, token, _seconds(until)) for task, token, until in self._select(_LEASES)]
        except MySQLdb.OperationalError:
            return []

    def open_tasks(self) -> int:
        """How many tasks have not ended."""
        return self._select(_OPEN, [sorted(TERMINAL)])[0][0]

    def _select(self, query: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        with closing(self._connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall()


def _row(values: tuple[Any, ...]) -> Row:
    *facts, queued_at, claimed_at = values
    row = Row(*facts, _moment(queued_at), _moment(claimed_at))
    number = None if row.number is None else int(row.number)
    result = None if row.result is None else json.loads(row.result)
    return Row(**{**vars(row), "number": number, "result": result})


def _moment(value: datetime | None) -> float | None:
    return None if value is None else _seconds(value)


def _seconds(value: datetime) -> float:
    return value.replace(tzinfo=UTC).timestamp()
