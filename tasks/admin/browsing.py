"""Pages of all teams' tasks, the newest first, at a cost that does not grow with the table whatever is looked for.

`listing.py` reads a page off an index, and passes over what other conditions leave out. For conditions that no index serves
that would be the whole table, so a page looks through WINDOW tasks at most, and says where the next one goes on.
"""

from __future__ import annotations

from dataclasses import replace

from dtq_site.foundation.database import through_index
from tasks.filters import TaskFilter
from tasks.listing import Page, Position, TaskOrder, page, positions
from tasks.models import Task
from tasks.selectors import LARGE_COLUMNS

ORDER = TaskOrder.NEWEST
WINDOW = 10_000
FEW = 1_000
"""A queue with no more tasks than that is looked through as a whole."""


def browse(wanted: TaskFilter, limit: int, after: Position | None) -> Page:
    """Up to `limit` of the tasks that are wanted, from a position on. A page can have fewer, and an end all the same."""
    rows = Task.objects.select_related("team")
    wanted = _of_small_queue(wanted)
    served = replace(wanted, name=None, queue=None, priority=None, schedule_id=None, search=None, error=None)
    last = positions(rows, served, ORDER, 1, after, WINDOW - 1) if served != wanted else []
    if last:
        rows = rows.filter(pk__gte=last[0][-1])
    found = page(rows, wanted, ORDER, limit, after=after, without=LARGE_COLUMNS - {"error"})
    return found if found.end or not last else replace(found, end=last[0])


def _of_small_queue(wanted: TaskFilter) -> TaskFilter:
    if wanted.queue is None or wanted.ids is not None:
        return wanted
    line = Task.objects.filter(queue=wanted.queue, status__in=wanted.statuses)
    few = list(through_index(line, "task_line").order_by().values_list("pk", flat=True)[: FEW + 1])
    return wanted if len(few) > FEW else replace(wanted, ids=few)
