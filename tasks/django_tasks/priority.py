"""The priorities of django.tasks, whose usual one is 0, on DTQ's scale, whose usual one is NORMAL.

Both scales go from -100 to 100, so a shift that makes 0 NORMAL leaves no room for the topmost: those share DTQ's highest, and
how they were called is kept beside it.
"""

from __future__ import annotations

from tasks.django_tasks import api
from tasks.domain import priority as priorities

_SHIFT = priorities.DEFAULT - api.DEFAULT_TASK_PRIORITY


def to_dtq(priority: int) -> int:
    """DTQ's priority for one of django.tasks. A higher one never becomes a lower one."""
    return min(priority + _SHIFT, priorities.HIGHEST)


def is_told_apart(priority: int) -> bool:
    """Whether `from_dtq` finds the priority again by DTQ's alone."""
    return from_dtq(to_dtq(priority)) == priority


def from_dtq(priority: int, called: int | None = None) -> int:
    """The priority of django.tasks that DTQ's stands for. `called` is what it was, if it is not told apart by that."""
    if called is not None and to_dtq(called) == priority:
        return called
    return max(priority - _SHIFT, api.TASK_MIN_PRIORITY)
