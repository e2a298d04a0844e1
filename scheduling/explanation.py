"""What scheduling has to do with it that a task is not running: nobody makes it ready, or its schedule's last one runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from scheduling import selectors
from tasks.domain.reasons import Reason, ReasonCode
from tasks.domain.states import PROMOTABLE_HOLDS, Hold, TaskStatus
from tasks.models import Task


def explain(task: Task, now: datetime) -> Iterator[Reason]:
    """The part of `tasks.explanation` that this app adds."""
    is_due = task.scheduled_at is not None and task.scheduled_at <= now
    if task.status != TaskStatus.PENDING or not is_due:
        return
    if task.hold == Hold.SCHEDULE and (behind := selectors.awaited_by_slot_of(task)) is not None:
        yield Reason(
            ReasonCode.OVERLAP,
            f"The task of its schedule's slot before, {behind}, has not ended, and the schedule runs one at a time.",
            task_id=behind,
        )
    if task.hold in {*PROMOTABLE_HOLDS, Hold.SCHEDULE} and not selectors.has_leader(now):
        yield Reason(ReasonCode.NO_SCHEDULER, "No scheduler runs that would make it ready.")
