"""Reads for those who follow tasks: the rows as they are now, their versions, and which have changed since a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from tasks.domain.states import TaskStatus
from tasks.models import Task

_AT_ONCE = 1000


def tasks_by_id(task_ids: Collection[UUID], *, without: Collection[str] = ()) -> dict[UUID, Task]:
    """Those of the tasks that there are. Columns in `without` are read only if somebody asks for them."""
    found: dict[UUID, Task] = {}
    for part in _parts(task_ids):
        found |= Task.objects.filter(pk__in=part).defer(*without).in_bulk()
    return found


def versions(task_ids: Collection[UUID]) -> dict[UUID, int]:
    """The present versions of those of the tasks that there are."""
    found: dict[UUID, int] = {}
    for part in _parts(task_ids):
        found |= dict(Task.objects.filter(pk__in=part).values_list("pk", "version"))
    return found


def changed_since(moment: datetime, limit: int) -> list[UUID]:
    """The tasks that have changed since a moment; of too many those that changed last."""
    # All states are named, so that the index that has them in front is of use.
    changed = Task.objects.filter(status__in=list(TaskStatus), updated_at__gte=moment).order_by("-updated_at")
    return list(changed.values_list("pk", flat=True)[:limit])[::-1]


def _parts(task_ids: Collection[UUID]) -> Iterator[Sequence[UUID]]:
    ordered = list(task_ids)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
