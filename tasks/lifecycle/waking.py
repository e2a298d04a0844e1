"""How a task moves on that has waited for something which others had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from tasks.lifecycle.effects import drop_after_commit, hint_of
from tasks.lifecycle.rows import assign, return_to_line, write
from tasks.models import Task


def make_awaited_ready(tasks: Sequence[Task], guard: Q, now: datetime) -> None:
    """Put locked rows that meet the guard back into the line, in their places. `follow` makes them known."""
    hints = [hint_of(task) for task in tasks]
    for task in tasks:
        assign(task, now, queued_at=now)
    write(tasks, guard, return_to_line(tasks, now))
    # The claim that parked a task may not have confirmed its hand-over yet: an entry in flight would make the index pass over it.
    drop_after_commit(hints)
