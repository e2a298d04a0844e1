"""What is known of tasks, as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dtq_site.foundation.scalars import DateTime
from dtq_site.terminal.edge import shown_moment, shown_seconds
from tasks import explanation, failures, selectors
from tasks.audit import REFUSED
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskAttempt
from workers import selectors as workers

_BRIEF = {
    "id": "pk",
    "name": "name",
    "title": "title",
    "status": "status",
    "queue": "queue",
    "priority": "priority",
    "attempts": "attempts",
    "retries": "retries",
    "maxRetries": "max_retries",
    "lostLeases": "lost_leases",
    "progress": "progress",
    "createdAt": "created_at",
    "scheduledAt": "scheduled_at",
    "queuedAt": "queued_at",
    "startedAt": "started_at",
    "completedAt": "completed_at",
    "error": "error",
}
"""The API's names of what a list says of a task, and the columns."""

_LONGEST_ERROR = 120
BRIEFLY_UNREAD = selectors.LARGE_COLUMNS - {"error"}

_MORE = {
    "description": "description",
    "timeoutSeconds": "timeout_seconds",
    "idempotencyKey": "idempotency_key",
    "version": "version",
    "payload": "payload",
    "result": "result",
}
_ENDINGS = {
    "failed": "Attempt {} failed",
    "discarded": "Attempt {} gave up: another would not help",
    "lost": "Attempt {} was lost with its worker",
    "cancelled": "Attempt {} was cancelled",
    REFUSED: "Attempt {} reported too late and was refused",
}
_LAST = {
    TaskStatus.COMPLETED: "Completed",
    TaskStatus.FAILED: "Failed",
    TaskStatus.DEAD_LETTER: "Became a dead letter",
    TaskStatus.CANCELLED: "Cancelled",
}


class Event(NamedTuple):
    """Something that happened to a task; `error` is what went wrong."""

    at: datetime
    text: str
    error: str = ""


def brief(task: Task) -> dict[str, Any]:
    """A task as a list tells of it, for JSON."""
    return {key: _plain(getattr(task, column)) for key, column in _BRIEF.items()}


def timeline(task: Task) -> list[Event]:
    """What happened, in order, as far as it is remembered."""
    events = [Event(task.created_at, "Created"), *map(_ending, failures.endings([task.pk]))]
    if task.queued_at and task.queued_at != task.created_at:
        events.append(Event(task.queued_at, "Ready"))
    if task.started_at:
        worker = workers.by_ids([task.lease_owner]).get(task.lease_owner)
        by = f" by {worker.name}" if worker else ""
        events.append(Event(task.started_at, f"Attempt {task.attempts} started{by}"))
    if task.status in _LAST:
        events.append(Event(task.completed_at or task.updated_at, _LAST[TaskStatus(task.status)]))
    return sorted(events, key=lambda event: event.at)


def _ending(ending: TaskAttempt) -> Event:
    return Event(ending.ended_at, _ENDINGS[ending.ending].format(ending.attempt), ending.error)


def whole(task: Task, now: datetime) -> dict[str, Any]:
    """All that is known of a task, for JSON."""
    said = {key: _plain(getattr(task, column)) for key, column in (_BRIEF | _MORE).items()}
    lines = selectors.log_lines([task.pk])
    return said | {
        "explanation": _sentence(task, now),
        "timeline": [{"at": _plain(event.at), "text": event.text, "error": event.error} for event in timeline(task)],
        "logs": [
            {
                "createdAt": _plain(each.created_at),
                "level": each.level,
                "attempt": each.attempt,
                "message": each.message,
            }
            for each in lines
        ],
    }


def as_text(task: Task, now: datetime, log_lines: int) -> Iterator[str]:
    """The same in lines for people, with the last so many lines of the log."""
    yield f"{task.title}  ({task.name})" if task.title != task.name else task.name
    yield _sentence(task, now)
    yield ""
    yield from _facts(task)
    yield from ["", "What happened (UTC)"]
    before = None
    for event in timeline(task):
        passed = "" if before is None else f"  +{shown_seconds((event.at - before).total_seconds())}"
        yield f"  {shown_moment(event.at)}  {event.text}{passed}"
        yield from _indented(event.error, 4)
        before = event.at
    yield from ["", "Payload", *_indented(json.dumps(task.payload, ensure_ascii=False, indent=2))]
    if task.status == TaskStatus.COMPLETED:
        yield from ["", "Result", *_indented(json.dumps(task.result, ensure_ascii=False, indent=2))]
    lines = selectors.log_lines([task.pk])
    if shown := lines[len(lines) - min(log_lines, len(lines)) :]:
        yield from ["", "Log" if len(shown) == len(lines) else f"Log, the last {len(shown):,} of {len(lines):,} lines"]
        yield from (f"  {shown_moment(each.created_at)}  {each.level:7}  {each.message}" for each in shown)


def _facts(task: Task) -> Iterator[str]:
    lost = f", {task.lost_leases} lost" if task.lost_leases else ""
    facts = {
        "id": task.pk,
        "status": task.status + ("" if task.progress is None else f", {task.progress} %"),
        "queue": f"{task.queue}, priority {task.priority}",
        "attempts": f"{task.attempts} (at most {task.max_retries} retries, {shown_seconds(task.timeout_seconds)} each){lost}",
        "not before": shown_moment(task.scheduled_at),
        "key": task.idempotency_key,
        "about": task.description,
    }
    yield from (f"  {name:<10}  {value}" for name, value in facts.items() if value)


def table(tasks: Sequence[Task], now: datetime) -> Iterator[str]:
    """A line for each task, under one of headings; nothing for none."""
    rows = [("ID", "STATUS", "HANDLER", "QUEUE", "PRIORITY", "ATTEMPTS", "CREATED", "ERROR")]
    for task in tasks:
        age = shown_seconds(max((now - task.created_at).total_seconds(), 0.0))
        attempts = str(task.attempts)
        row = (str(task.pk), task.status, task.name, task.queue, str(task.priority), attempts, f"{age} ago")
        rows.append((*row, _clipped(failures.telling_line(task.error))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if tasks else ():
        yield "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()


def _clipped(text: str) -> str:
    return f"{text[:_LONGEST_ERROR]}…" if len(text) > _LONGEST_ERROR else text


def _sentence(task: Task, now: datetime) -> str:
    return " ".join(reason.message for reason in explanation.explain(task, now))


def _indented(text: str, by: int = 2) -> list[str]:
    return [f"{' ' * by}{line}" for line in text.splitlines()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return DateTime.serialize(value)
    return value if value is None or isinstance(value, (bool, int, float, str, list, dict)) else str(value)
