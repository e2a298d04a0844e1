"""The INSERT of tasks in words of our own: it is most of what creating many costs, and the ORM takes ten times as long.

What is written is derived from the model: a column that a row leaves out gets its default.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from dtq_site.foundation import strict_json
from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.database import STATEMENT_BYTES
from dtq_site.foundation.statements import Statement
from tasks.models import Task

Row = dict[str, Any]
"""Values by the names of their columns; all rows of a call have the same columns, in the same order."""

_DEFAULTS = {field.attname: field.get_default() for field in Task._meta.concrete_fields}


def task_of(row: Row) -> Task:
    """The task as it would be read after the insert of `row`."""
    values = _DEFAULTS | row
    task: Task = Task.from_db(connection.alias, values.keys(), values.values())
    return task


def inserts(rows: Sequence[Row]) -> Iterator[Statement]:
    """As few statements as the database takes, none of which carries much more than STATEMENT_BYTES."""
    head, place = _wording(tuple(rows[0]), connection.vendor)
    prepare = preparations(connection.vendor)
    prepared = [
        [prepare[type(value)](value) if type(value) in prepare else value for value in row.values()] for row in rows
    ]
    weighed = [((values, weight), weight) for values in prepared for weight in [_weight(values)]]
    most = connection.ops.bulk_batch_size(list(rows[0]), rows)
    for batch in by_weight(weighed, STATEMENT_BYTES):
        for start in range(0, len(batch), most):
            part = batch[start : start + most]
            yield Statement(
                head + ", ".join([place] * len(part)),
                [value for values, _ in part for value in values],
                sum(weight for _, weight in part),
            )


@functools.cache
def _wording(given: tuple[str, ...], vendor: str) -> tuple[str, str]:
    """The head of the statement for rows of these columns, in the quotes of that database, and the place of one row."""
    left_out = {name: value for name, value in _DEFAULTS.items() if name not in given}
    columns = ", ".join(map(connection.ops.quote_name, [*given, *left_out]))
    values = ", ".join([*["%s"] * len(given), *map(_constant, left_out.values())])
    return f"INSERT INTO {connection.ops.quote_name(Task._meta.db_table)} ({columns}) VALUES ", f"({values})"


@functools.cache
def preparations(vendor: str) -> Mapping[type, Callable[[Any], Any]]:
    """How values are given to the driver of that database, by their types; others as they are."""
    return {
        UUID: str if connection.features.has_native_uuid_field else lambda id_: id_.hex,
        datetime: _moment,
        dict: strict_json.compact,
    }


@functools.lru_cache(maxsize=64)  # it takes as long as all else of a row, and a batch has few
def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _weight(values: Sequence[Any]) -> int:
    return sum(len(value.encode()) for value in values if isinstance(value, str))


def _constant(value: int | str | None) -> str:
    """A default in SQL: a number, nothing, or no text."""
    return "NULL" if value is None else "''" if value == "" else str(int(value))
