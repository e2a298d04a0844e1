"""Lists of tasks: which ones, in which order, a page at a time, at a cost that does not grow with the table.

Every order is read off an index. An index has its order within one status (for PRIORITY: within one status of one queue), so a
page is merged from the first rows of each of these branches. `tests/integration/graphql/test_lists.py` compares it with what
sorting everything answers. What conditions leave out within a branch is passed over row by row.

Text stands in no index. A list looks for it in the first SEARCHED tasks that meet the other conditions; a page that ends there
says where the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from dtq_site.foundation.database import through_index
from tasks.domain.priority import rank
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter, error_condition, ids_beginning_with
from tasks.models import Queue, Task

SEARCHED, SEARCHED_AT_ONCE = 5_000, 1_000
MOST_BRANCHES = 300


Position = tuple[Any, ...]
"""Where a task stands in an order: the values of the order's columns, its id the last."""


class TaskOrder(Enum):
    """The orders of a list. Ids grow with time."""

    NEWEST = ("-id",)
    OLDEST = ("id",)
    PRIORITY = ("-priority", "ready_ms", "id")
    UPDATED = ("-updated_at", "-id")

    @property
    def columns(self) -> list[str]:
        """The columns of a position."""
        return [column.lstrip("-") for column in self.value]


@dataclass(frozen=True)
class Page:
    """Tasks with their positions; `end` is where the next page begins, None if nothing can follow."""

    tasks: Sequence[Task]
    positions: Sequence[Position]
    end: Position | None


def page(
    visible: QuerySet[Task],
    wanted: TaskFilter,
    order: TaskOrder,
    limit: int,
    *,
    offset: int = 0,
    after: Position | None = None,
    without: Collection[str] = (),
    before_reading: Callable[[Collection[UUID]], None] = lambda task_ids: None,
) -> Page:
    """Up to `limit` of the visible tasks that are wanted, from a position on. Columns in `without` are read only if somebody
    asks for them; `before_reading` gets the ids of the tasks before anything else of them is read, and may raise.

    A page can have fewer tasks, and an end all the same, if text is looked for.
    """
    found, end = _found(visible, wanted, order, limit, after, offset)
    found_ids = [position[-1] for position in found]
    before_reading(found_ids)
    rows = visible.filter(wanted.condition(), pk__in=found_ids).defer(*without)
    by_id = {task.pk: task for task in rows} if found else {}
    there = [position for position in found if position[-1] in by_id]  # others have changed since
    return Page([by_id[position[-1]] for position in there], there, end)


def positions(
    visible: QuerySet[Task],
    wanted: TaskFilter,
    order: TaskOrder,
    limit: int,
    after: Position | None = None,
    offset: int = 0,
) -> list[Position]:
    """The first positions, in order, of the visible tasks that meet all but the text that is wanted.

    Those that are passed over first stay in the database.
    """
    if visible.query.is_empty():
        return []  # Django cannot order a union of nothing
    rows = visible.filter(wanted.conditions_beside_status())
    if after is not None:
        rows = rows.filter(_beyond(order, after))
    end = offset + limit
    parts = [branch.of(rows).values_list(*order.columns) for branch in _branches(wanted, order, after)]
    if len(parts) == 1:
        return list(parts[0][offset:end])
    parts = [part[:end] for part in parts]
    return list(parts[0].union(*parts[1:], all=True).order_by(*order.value)[offset:end])


def _found(
    visible: QuerySet[Task], wanted: TaskFilter, order: TaskOrder, limit: int, after: Position | None, offset: int
) -> tuple[list[Position], Position | None]:
    """Up to `limit` positions after the first `offset`, and after which one the rest follows."""
    text = wanted.text_condition()
    if wanted.search and (span := ids_beginning_with(wanted.search)):
        visible_by_id = visible.filter(pk__range=span)
        if positions(visible_by_id, wanted, order, 1):
            visible, text = visible_by_id, error_condition(wanted)
    if not text:
        found = positions(visible, wanted, order, limit + 1, after, offset)
        return found[:limit], found[limit - 1] if 0 < limit < len(found) else None
    if order in _BY_ID:
        found, end = _searched(visible, wanted, order, offset + limit, after, text)
        return found[offset:], end
    newest, _ = _searched(visible, wanted, TaskOrder.NEWEST, SEARCHED, None, text)
    rows = visible.filter(pk__in=[position[-1] for position in newest])
    if after is not None:
        rows = rows.filter(_beyond(order, after))
    found = list(rows.order_by(*order.value).values_list(*order.columns)[offset : offset + limit + 1])
    return found[:limit], found[limit - 1] if 0 < limit < len(found) else None


def _searched(
    visible: QuerySet[Task], wanted: TaskFilter, order: TaskOrder, limit: int, after: Position | None, text: Q
) -> tuple[list[Position], Position | None]:
    """Look for text task by task."""
    found: list[Position] = []
    for _ in range(SEARCHED // SEARCHED_AT_ONCE):
        chunk = positions(visible, wanted, order, SEARCHED_AT_ONCE, after)
        hits = set(Task.objects.filter(text, pk__in=[each[-1] for each in chunk]).values_list("pk", flat=True))
        found += [position for position in chunk if position[-1] in hits]
        if len(found) > limit:
            return found[:limit], found[limit - 1] if limit else None
        if len(chunk) < SEARCHED_AT_ONCE:
            return found, None
        after = chunk[-1]
    return found, after


def _beyond(order: TaskOrder, position: Position) -> Q:
    """What comes after a position. The first column stands alone too: that is what an index can be entered by."""
    beyond = Q()
    for name, value in reversed(list(zip(order.value, position, strict=True))):
        column, side = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        farther = Q(**{f"{column}__{side}": value})
        beyond = farther | (Q(**{column: value}) & beyond) if beyond else farther
    first = order.value[0]
    return Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": position[0]}) & beyond


_BY_ID = (TaskOrder.NEWEST, TaskOrder.OLDEST)


@dataclass(frozen=True)
class _Branch:
    """A part of a list, and the order in which an index has it.

    The index is named where it serves any data; where it does not, as for a small team, the database has the choice.
    """

    condition: Q
    order: Sequence[str]
    index: str | None = None

    def of(self, rows: QuerySet[Task]) -> QuerySet[Task]:
        """Those of the rows that belong to it, in order."""
        found = rows.filter(self.condition).order_by(*self.order)
        return through_index(found, self.index) if self.index else found


def _branches(wanted: TaskFilter, order: TaskOrder, after: Position | None) -> list[_Branch]:
    """Parts of a list that together are all that is wanted, but for text."""
    everything = wanted.statuses == frozenset(TaskStatus)
    whole = _Branch(Q() if everything else Q(status__in=wanted.statuses), order.value)
    if wanted.ids is not None or not connection.features.supports_slicing_ordering_in_compound:
        return [whole]
    statuses = [Q(status=status) for status in sorted(wanted.statuses)]
    of_all_teams = wanted.team_id is None
    if order is TaskOrder.PRIORITY:
        lines = _lines(wanted, after, "task_line" if of_all_teams else None)
        branches = [_Branch(status & line.condition, line.order, line.index) for status in statuses for line in lines]
    elif order is TaskOrder.UPDATED:
        # Nothing has changed before it was created.
        since = Q() if wanted.created_after is None else Q(updated_at__gte=wanted.created_after)
        index = "task_changed" if of_all_teams else None
        branches = [_Branch(status & since, order.value, index) for status in statuses]
    elif not of_all_teams:
        branches = [_Branch(status, order.value, "task_of_team") for status in statuses]
    elif everything:
        branches = [_Branch(Q(), order.value, "PRIMARY")]
    else:
        # What does not run has no lease, and where there is none the index of leases is in the order of ids.
        leased = [Q(lease_expires_at__isnull=missing) for missing in (True, False)]
        branches = [_Branch(status & lease, order.value, "task_lease_end") for status in statuses for lease in leased]
    return branches if 0 < len(branches) <= MOST_BRANCHES else [whole]


def _lines(wanted: TaskFilter, after: Position | None, index: str | None) -> list[_Branch]:
    """The queues in the order of PRIORITY. Where priority is strict that is the order of their lines."""
    ageing = dict(Queue.objects.values_list("name", "ageing_seconds"))
    strict = Q() if after is None else Q(rank__gte=rank(after[0], after[1]))
    if wanted.priority is not None:
        strict &= Q(rank__range=(rank(wanted.priority, 0), rank(wanted.priority - 1, 0)))
    lines = []
    for name in ageing if wanted.queue is None else [wanted.queue]:
        if ageing.get(name) is None:
            lines.append(_Branch(Q(queue=name) & strict, ("rank", "id"), index))
        else:
            lines.append(_Branch(Q(queue=name), TaskOrder.PRIORITY.value))
    return lines
