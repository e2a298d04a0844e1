"""Schedules made at 12:30 of the test's day, and what has become of their slots."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scheduling import definition, schedules
from scheduling.models import Schedule
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.support.factories import claim, completed, lease_of, make_team, settle

PENDING, QUEUED, PROCESSING, CANCELLED = (
    TaskStatus.PENDING,
    TaskStatus.QUEUED,
    TaskStatus.PROCESSING,
    TaskStatus.CANCELLED,
)


def at(hour: int, minute: int = 0, second: float = 0) -> datetime:
    """A moment of the test's day."""
    whole = int(second)
    return datetime(2030, 1, 1, hour, minute, whole, round((second - whole) * 1_000_000), UTC)


def make(expression: str | None = "0 * * * *", **asked: Any) -> Schedule:
    """A schedule made at 12:30, hourly unless said otherwise."""
    asked = {"name": "job", "cron_expression": expression, **asked}
    team_id = make_team().pk
    return schedules.create(definition.read(asked, team_id, at(12, 30)), team_id, None, at(12, 30))


def again(schedule: Schedule) -> Schedule:
    """The schedule as its row says now."""
    return Schedule.objects.get(pk=schedule.pk)


def coming(schedule: Schedule) -> Task:
    """The task of its coming slot."""
    return Task.objects.get(pk=again(schedule).coming_task_id)


def last(schedule: Schedule) -> Task:
    """The task that it released last."""
    return Task.objects.get(pk=again(schedule).last_task_id)


def slots(schedule: Schedule) -> list[tuple[str, str]]:
    """The tasks of the schedule that stand for a slot: which one, and their states."""
    tasks = Task.objects.filter(schedule_id=schedule.pk, scheduled_at__isnull=False).order_by("scheduled_at", "id")
    return [(f"{task.scheduled_at:%H:%M}", task.status) for task in tasks]


def start(task: Task, now: datetime) -> Task:
    """Have a worker run the task."""
    (running,) = claim([task], now)
    return running


def end(task: Task, now: datetime) -> None:
    """Have the worker that runs the task report its success."""
    settle(completed(lease_of(task)), now=now)


def cancel(task: Task, now: datetime) -> None:
    """Have an operator call the task off."""
    lifecycle.cancel(task.pk, now)
