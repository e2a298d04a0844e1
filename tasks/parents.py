"""Reads about the tasks that others depend on, their parents. `lifecycle/dependencies.py` writes what is read here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet, Sum

from dtq_site.foundation.database import through_index
from dtq_site.foundation.errors import PayloadTooLarge
from tasks.domain.states import TERMINAL, Hold, TaskStatus
from tasks.domain.workflow import OnFailure
from tasks.models import Dependency, Task, UnfollowedEnd

Edge = tuple[UUID, UUID]
"""A task, and one on which it depends."""

Place = tuple[str, datetime | None, UUID]
"""Where a task that waits stands in `task_due_in_queue`: its queue, its due time and its id."""


def edges_of(task_ids: Collection[UUID], most: int | None = None) -> list[Edge]:
    """What these tasks depend on, in the order in which it was named, at most so many."""
    edges = Dependency.objects.filter(child_id__in=task_ids).order_by("pk").values_list("child_id", "parent_id")
    return list(edges[:most])


def parents_along(edges: Collection[Edge], without: Collection[str] = ()) -> dict[UUID, list[Task]]:
    """The tasks to which these edges lead and that are still there, in their order, by child; `without` columns."""
    found = Task.objects.defer(*without).in_bulk({parent_id for _, parent_id in edges})
    parents: dict[UUID, list[Task]] = {}
    for child_id, parent_id in edges:
        if parent_id in found:
            parents.setdefault(child_id, []).append(found[parent_id])
    return parents


def awaited_by(task_id: UUID, most: int) -> tuple[list[Task], int]:
    """The first of those tasks for which one waits, at most so many, and how many there are in all."""
    edges = Dependency.objects.filter(child_id=task_id, satisfied=False).order_by("pk")
    first = list(edges.values_list("parent_id", flat=True)[:most])
    found = Task.objects.only("id", "name", "status").in_bulk(first)
    return [found[parent_id] for parent_id in first if parent_id in found], edges.count()


def results_of(task_id: UUID, most_bytes: int) -> dict[str, Any]:
    """What the parents of a task have returned that completed, by their keys, else by their ids, in the order of naming.

    Raises PayloadTooLarge if they take more than `most_bytes` together.
    """
    edges = Dependency.objects.filter(child_id=task_id).order_by("pk").values_list("parent_id", "key")
    keys = {parent_id: key or str(parent_id) for parent_id, key in edges}
    completed = Task.objects.filter(pk__in=keys, status=TaskStatus.COMPLETED)
    length = Func(F("result"), function="LENGTH", output_field=IntegerField())
    size = completed.aggregate(size=Sum(length))["size"] or 0
    if size > most_bytes:
        raise PayloadTooLarge(
            f"The results of what it depends on take {size:,} bytes; at most {most_bytes:,} are handed over. "
            "Store the data elsewhere and return its address.",
            field="results",
        )
    results = dict(completed.values_list("pk", "result"))
    return {key: results[parent_id] for parent_id, key in keys.items() if parent_id in results}


def waiting(after: Place | None, limit: int) -> list[Place]:
    """The next stretch of the tasks that wait for parents, in the order of the index; from the first on if `after` is None."""
    rows = through_index(Task.objects.filter(hold=Hold.DEPENDENCY), "task_due_in_queue")
    found: list[Place] = []
    for part in [rows.order_by("queue", "scheduled_at", "pk")] if after is None else _beyond(after, rows):
        found += part.values_list("queue", "scheduled_at", "pk")[: limit - len(found)]
    return found


def _beyond(place: Place, rows: QuerySet[Task]) -> list[QuerySet[Task]]:
    """The rows that stand after a place, where null is the first moment.

    Three statements, none of which sorts by what is equal in it, so that MariaDB walks the index from the place on.
    """
    queue, scheduled_at, task_id = place
    beside = rows.filter(queue=queue)
    later = Q(scheduled_at__isnull=False) if scheduled_at is None else Q(scheduled_at__gt=scheduled_at)
    return [
        beside.filter(scheduled_at=scheduled_at, pk__gt=task_id).order_by("pk"),
        beside.filter(later).order_by("scheduled_at", "pk"),
        rows.filter(queue__gt=queue).order_by("queue", "scheduled_at", "pk"),
    ]


def overdue(task_ids: Collection[UUID]) -> list[UUID]:
    """Those of the tasks that wait, though how their parents stand says that they should not."""
    unmet = Dependency.objects.filter(child_id=OuterRef("pk"), satisfied=False)
    wrong = Task.objects.filter(
        ~Exists(unmet) | Exists(_decided().filter(child_id=OuterRef("pk"))), pk__in=task_ids, hold=Hold.DEPENDENCY
    )
    return list(wrong.values_list("pk", flat=True))


def overdue_after(ended_ids: Collection[UUID], most: int) -> list[UUID]:
    """The tasks that wait though these have ended, at most so many; one may be named for several of these."""
    waits = Task.objects.filter(pk=OuterRef("child_id"), hold=Hold.DEPENDENCY)
    edges = _decided().filter(Exists(waits), parent_id__in=ended_ids)
    return list(edges.values_list("child_id", flat=True)[:most])


def _decided() -> QuerySet[Dependency]:
    """The edges from which something follows by now that has not been drawn, whether their children still wait or not."""
    parent = Task.objects.filter(pk=OuterRef("parent_id"))
    ended = Exists(parent.filter(status__in=TERMINAL)) & ~Q(on_failure=OnFailure.HOLD)
    unmet = Dependency.objects.filter(satisfied=False)
    return unmet.filter(~Exists(parent) | Exists(parent.filter(status=TaskStatus.COMPLETED)) | Q(ended))


def unfollowed(most: int) -> list[UnfollowedEnd]:
    """The ends that were noted first, because more may follow from them."""
    return list(UnfollowedEnd.objects.order_by("pk")[:most])
