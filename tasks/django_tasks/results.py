"""From a task's row, its attempts and its log to what django.tasks calls a result.

The row forgets who ran an attempt once that has ended, so the first line of each attempt's log says it; see `start_line`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from accounts.registration import DEFAULT_TEAM, team_id_named
from dtq_site.foundation.connections import reading
from dtq_site.foundation.ids import parse_uuid
from tasks.django_tasks import declared, errors, priority
from tasks.django_tasks.api import TaskError, TaskResult, TaskResultDoesNotExist, TaskResultStatus
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskAttempt, TaskLog

_STATUSES = {
    TaskStatus.PENDING: TaskResultStatus.READY,
    TaskStatus.QUEUED: TaskResultStatus.READY,
    TaskStatus.PROCESSING: TaskResultStatus.RUNNING,
    TaskStatus.COMPLETED: TaskResultStatus.SUCCESSFUL,
    TaskStatus.FAILED: TaskResultStatus.FAILED,
    TaskStatus.CANCELLED: TaskResultStatus.FAILED,
    TaskStatus.DEAD_LETTER: TaskResultStatus.FAILED,
}
UNKNOWN_WORKER = "unknown"
_START = re.compile(r"Started at (\S+) on worker (\S+)")


def find_row(task_id: object) -> Task:
    """The row of a task of Django's kind. Raises TaskResultDoesNotExist.

    They are the installation's own: a row of another team than its code's is none, whatever name a client has given it.
    """
    key = parse_uuid(task_id)
    row = reading(lambda: key and Task.objects.filter(pk=key, team_id=team_id_named(DEFAULT_TEAM)).first())
    if row is None:
        raise TaskResultDoesNotExist(str(task_id))
    return row


def result_of(row: Task) -> TaskResult:
    """What is known of the task. Raises TaskResultDoesNotExist if this process does not know what it runs."""
    found = declared.find(row.name)
    if found is None:
        raise TaskResultDoesNotExist(
            f"{row.pk} is to run {row.name!r}, and no module that is imported here has a Task of that path. Put it into the "
            "tasks.py of an app, or name its module in DTQ_HANDLERS."
        )
    payload = row.payload
    task = found.using(
        priority=priority.from_dtq(row.priority, payload.get("priority")),
        run_after=row.scheduled_at,
        backend=payload.get("backend"),
    )
    object.__setattr__(task, "queue_name", row.queue)  # an operator may have moved it to one that QUEUES does not have
    starts, endings = _past(row)
    last_start = row.started_at if row.attempts else None  # a claim that was given back left one too
    result = TaskResult(
        task=task,
        id=str(row.pk),
        status=_STATUSES[TaskStatus(row.status)],
        enqueued_at=row.created_at,
        started_at=starts[1][0] if 1 in starts else last_start,
        finished_at=row.completed_at,
        last_attempted_at=last_start,
        args=payload.get("args", []),
        kwargs=payload.get("kwargs", {}),
        backend=task.backend,
        errors=_errors(row, endings),
        worker_ids=_worker_ids(row, starts, endings),
    )
    object.__setattr__(result, "_return_value", row.result)
    return result


def start_line(row: Task) -> str:
    """The first line of the log of an attempt that starts."""
    return f"Started at {row.started_at.isoformat()} on worker {row.lease_owner}"


Starts = Mapping[int, tuple[datetime, str]]
Endings = Mapping[int, TaskAttempt]


def _past(row: Task) -> tuple[Starts, Endings]:
    """When and by whom the attempts before the present one were started, and how they ended if not well."""
    if row.attempts == 0 or (row.attempts == 1 and row.status == TaskStatus.PROCESSING):
        return {}, {}
    lines = TaskLog.objects.filter(task_id=row.pk, sequence=1).order_by("pk").values_list("attempt", "message")
    told = {attempt: found.groups() for attempt, message in lines if (found := _START.fullmatch(message))}
    starts = {attempt: (datetime.fromisoformat(at), worker) for attempt, (at, worker) in told.items()}
    # The last attempt runs or has completed, but one that did not begin may have had its number before.
    ended = row.attempts - (row.status in (TaskStatus.PROCESSING, TaskStatus.COMPLETED))
    endings = TaskAttempt.objects.filter(task_id=row.pk, ending__in=errors.ENDINGS, attempt__lte=ended).order_by("pk")
    return starts, {ending.attempt: ending for ending in endings}


def _worker_ids(row: Task, starts: Starts, endings: Endings) -> list[str]:
    known: dict[int, UUID | str | None] = {attempt: worker for attempt, (_, worker) in starts.items()}
    known |= {attempt: ending.worker_id for attempt, ending in endings.items()}
    if row.lease_owner is not None:
        known[row.attempts] = row.lease_owner
    return [str(known.get(attempt) or UNKNOWN_WORKER) for attempt in range(1, row.attempts + 1)]


def _errors(row: Task, endings: Endings) -> list[TaskError]:
    said = [errors.read(ending) for _, ending in sorted(endings.items())]
    return [*said, errors.cancelled(row.error)] if row.status == TaskStatus.CANCELLED else said
