"""Which tasks are wanted, as lists and bulk requests say it; the one place where that becomes a condition of the database."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import reduce
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower
from django.db.models.lookups import Contains

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.ids import lowest_at
from tasks.domain.states import TaskStatus

_SECOND = 1000
_SPREAD_MS = 600 * _SECOND
"""A task's id is made in the request that says when it was created: this much apart they are never."""

_ID_START = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")
_LOWEST_ID, _HIGHEST_ID = "00000000000070008000000000000000", "ffffffffffff7fffbfffffffffffffff"


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks are wanted; None is any. A task of `created_after` itself is in, one of `created_before` out."""

    ids: Collection[UUID] | None = None
    status: Collection[TaskStatus] | None = None
    name: str | None = None
    queue: str | None = None
    priority: int | None = None
    team_id: UUID | None = None
    schedule_id: UUID | None = None
    worker_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    search: str | None = None
    error: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it names no condition, so that it means all tasks; to look for no text is none."""
        return all(getattr(self, field.name) in (None, "") for field in fields(self))

    @property
    def statuses(self) -> frozenset[TaskStatus]:
        """In which states the tasks may be."""
        asked = frozenset(TaskStatus if self.status is None else self.status)
        return asked if self.worker_id is None else asked & {TaskStatus.PROCESSING}

    def condition(self) -> Q:
        """What the rows must meet."""
        status = Q() if self.statuses == frozenset(TaskStatus) else Q(status__in=self.statuses)
        return status & self.conditions_beside_status() & self.text_condition()

    def conditions_beside_status(self) -> Q:
        """What the rows must meet, but for their status and for text."""
        columns = {
            "pk__in": self.ids,
            "name": self.name,
            "queue": self.queue,
            "priority": self.priority,
            "team_id": self.team_id,
            "schedule_id": self.schedule_id,
            "lease_owner": self.worker_id,
            "created_at__gte": self.created_after,
            "created_at__lt": self.created_before,
        }
        if self.created_after is not None:
            columns["id__gte"] = lowest_at(milliseconds(self.created_after) - _SPREAD_MS)
        if self.created_before is not None:
            columns["id__lt"] = lowest_at(milliseconds(self.created_before) + _SPREAD_MS)
        return Q(**{column: value for column, value in columns.items() if value is not None})

    def text_condition(self) -> Q:
        """What is to be found in the rows' text, in any case."""
        if not self.search:
            return error_condition(self)
        found = _contains(self.search, "name", "title", "description")
        span = ids_beginning_with(self.search)
        return (found | Q(pk__range=span) if span else found) & error_condition(self)


def created_since(moment: datetime) -> tuple[Q, Q]:
    """The tasks that were created at the moment or later, in two parts: those of which the id says so, and those nearby."""
    at = milliseconds(moment)
    nearby = Q(id__gte=lowest_at(at - _SPREAD_MS), id__lt=lowest_at(at + _SPREAD_MS), created_at__gte=moment)
    return Q(id__gte=lowest_at(at + _SPREAD_MS)), nearby


def error_condition(wanted: TaskFilter) -> Q:
    """What is to be found in the rows' error."""
    return _contains(wanted.error, "error") if wanted.error else Q()


def _contains(text: str, *columns: str) -> Q:
    if "\0" in text:  # no text of ours has it, and SQLite takes it for the end of the pattern
        return Q(pk__in=[])
    # `icontains` goes by the column's collation, and names are compared byte by byte.
    return reduce(Q.__or__, [Q(Contains(Lower(column), text.lower())) for column in columns])


def ids_beginning_with(text: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id of a task that begins like the text, if it has at least the first eight digits of one."""
    start = text.strip().lower()
    if not _ID_START.fullmatch(start):
        return None
    digits = start.replace("-", "")[:32]
    low, high = UUID(digits + _LOWEST_ID[len(digits) :]), UUID(digits + _HIGHEST_ID[len(digits) :])
    return (low, high) if low.version == 7 else None  # as all of ours; MariaDB sorts other versions by their own rule


# --- as JSON -------------------------------------------------------------------------------------------------------


def to_json(wanted: TaskFilter) -> dict[str, Any]:
    """The filter as it is kept; `from_json` reads it."""
    said = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    return {name: _plain(value) for name, value in said.items() if value is not None}


def from_json(kept: Mapping[str, Any]) -> TaskFilter:
    """The filter that `to_json` wrote."""
    return TaskFilter(**{name: _READ[name](value) if name in _READ else value for name, value in kept.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Collection) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


_READ = {
    "ids": lambda kept: [UUID(each) for each in kept],
    "status": lambda kept: [TaskStatus(each) for each in kept],
    "created_after": datetime.fromisoformat,
    "created_before": datetime.fromisoformat,
    **dict.fromkeys(("team_id", "schedule_id", "worker_id"), UUID),
}
