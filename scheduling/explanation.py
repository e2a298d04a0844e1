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
    moments = [moment for moment in (task.scheduled_at, task.lease_expires_at) if moment is not None]
    if task.status != TaskStatus.PENDING or not moments or max(moments) > now:
        return  # it runs, has ended, or is not due yet
    if task.hold == Hold.SCHEDULE and (behind := selectors.awaited_by_slot_of(task)) is not None:
        yield Reason(
            ReasonCode.OVERLAP,
            f"The task of its schedule's slot before, {behind}, has not ended, and the schedule runs one at a time.",
            task_id=behind,
        )
    if task.hold in {*PROMOTABLE_HOLDS, Hold.SCHEDULE} and not selectors.has_leader(now):
        yield Reason(ReasonCode.NO_SCHEDULER, "No scheduler runs that would make it ready.")
