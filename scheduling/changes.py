"""What people do to schedules: each change by `schedules.py`, with its entry in the audit log, both or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import audit
from accounts.identity import Identity
from accounts.models import User
from dtq_site.foundation.database import repeats_lock_conflicts
from scheduling import schedules
from scheduling.definition import Definition
from scheduling.models import Schedule
from tasks.domain.submission import TaskSpec
from tasks.models import Task
from tasks.recurrence import Recurrence


@repeats_lock_conflicts
def create(defined: Definition, team_id: UUID, by: Identity, now: datetime) -> Schedule:
    """Make a schedule of the caller's in that team."""
    schedule = schedules.create(defined, team_id, by.user_id, now)
    _record(by, "created", schedule.pk, schedule.name)
    return schedule


@repeats_lock_conflicts
def create_recurring(
    spec: TaskSpec, recurrence: Recurrence, team_id: UUID, user_id: UUID | None, now: datetime
) -> Task:
    """Make a schedule and return its coming occurrence; raises as `schedules.create_recurring` does."""
    task = schedules.create_recurring(spec, recurrence, team_id, user_id, now)
    user = User.objects.filter(pk=user_id).first()
    _record(user.identity if user else None, "created", task.schedule_id, task.name)
    return task


@repeats_lock_conflicts
def update(schedule_id: UUID, asked: Mapping[str, Any], by: Identity, now: datetime) -> Schedule:
    """Change what is asked for. The log has the names of the fields: a payload may hold what nobody else is to read."""
    schedule = schedules.update(schedule_id, asked, now)
    _record(by, "changed", schedule_id, schedule.name, fields=sorted(asked))
    return schedule


@repeats_lock_conflicts
def pause(schedule_id: UUID, by: Identity) -> Schedule:
    """Make no more of its tasks until it is resumed."""
    schedule = schedules.pause(schedule_id)
    _record(by, "paused", schedule_id, schedule.name)
    return schedule


@repeats_lock_conflicts
def resume(schedule_id: UUID, by: Identity, now: datetime) -> Schedule:
    """Go on from the first slot after now."""
    schedule = schedules.resume(schedule_id, now)
    _record(by, "resumed", schedule_id, schedule.name)
    return schedule


@repeats_lock_conflicts
def run_now(schedule_id: UUID, by: Identity, now: datetime) -> Task:
    """Make a ready task like those of the schedule."""
    task = schedules.run_now(schedule_id, by.user_id, now)
    _record(by, "run", schedule_id, task.name, task=task.pk)
    return task


@repeats_lock_conflicts
def delete(schedule: Schedule, by: Identity) -> None:
    """Remove it and its coming task."""
    schedules.delete(schedule.pk)
    _record(by, "deleted", schedule.pk, schedule.name)


def _record(by: Identity | None, done: str, schedule_id: UUID, name: str, **facts: UUID | Iterable[str]) -> None:
    audit.record(by, f"schedule.{done}", f"schedule:{schedule_id}", {"name": name, **facts})
