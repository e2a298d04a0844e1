"""The only writer of what is remembered about attempts: their ends other than success, refused reports, and log lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tasks.domain.outcome import clipped, shortened
from tasks.models import TaskAttempt, TaskLog

LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Ending:
    """How one attempt ended: ``failed``, ``discarded``, ``lost``, ``cancelled``, or ``refused`` for a report that came too late.

    What an attempt still has to tell after its end is taken from whoever knows its claim's id.
    """

    task_id: UUID
    attempt: int
    fencing_token: int
    claim_id: UUID
    worker_id: UUID | None
    ending: str
    error: str


@dataclass(frozen=True)
class LogLine:
    """One line of a handler. `sequence` counts the lines of one attempt, so a repeated report adds nothing."""

    task_id: UUID
    fencing_token: int
    sequence: int
    attempt: int
    level: str
    message: str


REFUSED = "refused"


def record_endings(endings: Sequence[Ending], now: datetime) -> None:
    """Keep how attempts ended. A refused report that comes again adds nothing."""
    if not endings:
        return
    refused = [ending.task_id for ending in endings if ending.ending == REFUSED]
    kept = TaskAttempt.objects.filter(task_id__in=refused, ending=REFUSED) if refused else TaskAttempt.objects.none()
    known = set(kept.values_list("task_id", "fencing_token"))
    TaskAttempt.objects.bulk_create(
        TaskAttempt(
            task_id=ending.task_id,
            attempt=ending.attempt,
            fencing_token=ending.fencing_token,
            claim_id=ending.claim_id,
            worker_id=ending.worker_id,
            ending=ending.ending,
            error=shortened(ending.error),
            ended_at=now,
        )
        for ending in endings
        if ending.ending != REFUSED or (ending.task_id, ending.fencing_token) not in known
    )


def record_lines(lines: Iterable[LogLine], now: datetime) -> None:
    """Keep log lines; those that are kept already, or whose task is gone, are passed over."""
    TaskLog.objects.bulk_create(
        [
            TaskLog(
                task_id=line.task_id,
                fencing_token=line.fencing_token,
                sequence=line.sequence,
                attempt=line.attempt,
                level=line.level if line.level in LEVELS else "info",
                message=clipped(line.message),
                created_at=now,
            )
            for line in lines
        ],
        ignore_conflicts=True,
    )


def forget_lines(before: datetime, limit: int) -> int:
    """Remove the oldest log lines, a chunk of those that were written before a moment; returns how many."""
    oldest = TaskLog.objects.order_by("pk").values_list("pk", "created_at")[:limit]
    old = [key for key, created_at in oldest if created_at < before]
    TaskLog.objects.filter(pk__in=old).delete()
    return len(old)


def forget(task_ids: Sequence[UUID]) -> None:
    """Remove all that is remembered of tasks that are being deleted."""
    TaskAttempt.objects.filter(task_id__in=task_ids).delete()
    TaskLog.objects.filter(task_id__in=task_ids).delete()
