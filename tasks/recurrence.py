"""The way from `createTask(cronExpression: …)` up to schedules, which tasks know nothing of: one function, filled at start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from tasks.domain.submission import TaskSpec
from tasks.models import Task


@dataclass(frozen=True)
class Recurrence:
    """When a task is to be made again and again."""

    cron_expression: str
    timezone: str


class MakeSchedule(Protocol):
    """Make a schedule and return its coming occurrence, a PENDING task. Raises BadInput."""

    def __call__(
        self, spec: TaskSpec, recurrence: Recurrence, team_id: UUID, user_id: UUID | None, now: datetime
    ) -> Task:
        """Make it and return the occurrence."""


_make: MakeSchedule | None = None


def fill(make_schedule: MakeSchedule) -> None:
    """Say who makes schedules; the app of schedules does so at start."""
    global _make
    _make = make_schedule


def make_schedule() -> Callable[..., Task]:
    """Who makes schedules."""
    if _make is None:
        raise RuntimeError("no app that makes schedules is installed")
    return _make
