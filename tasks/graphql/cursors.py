"""Cursors: positions in a list of tasks as text that clients hand back and need not understand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dtq_site.foundation.errors import BadInput
from tasks.listing import Position, TaskOrder

_MOST = 2**63 - 1


def cursor_of(order: TaskOrder, position: Position) -> str:
    """The cursor of a position in an order."""
    values = [value if isinstance(value, int) else str(value) for value in position]
    return base64.urlsafe_b64encode(json.dumps([order.name, *values], separators=(",", ":")).encode()).decode()


def position_at(cursor: str, order: TaskOrder) -> Position:
    """The position that a cursor of that order says. Raises BadInput on `after` for anything else."""
    try:
        name, *values = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise _refusal() from None
    if name != order.name:
        raise BadInput(
            f"This cursor is not one of a list in the order {order.name}: send the orderBy of its list, or no cursor.",
            field="after",
        )
    try:
        return tuple(_READ[column](value) for column, value in zip(order.columns, values, strict=True))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise _refusal() from None


def _refusal() -> BadInput:
    return BadInput("This is no cursor of a list of tasks: send an endCursor as it was answered.", field="after")


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) > _MOST:
        raise ValueError
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "id": UUID,
    "priority": _integer,
    "ready_ms": _integer,
    "updated_at": _moment,
}
