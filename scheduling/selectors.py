"""Reads about schedules and schedulers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Count, QuerySet

from accounts.identity import Identity
from scheduling.models import DutyRecord, LeaderLease, Schedule
from tasks.models import Task


def schedules(identity: Identity) -> list[Schedule]:
    """The schedules that the account may see, by name: those of its team; an admin sees all."""
    return list(_visible_to(identity).order_by("name", "id"))


def schedule(schedule_id: UUID, identity: Identity) -> Schedule | None:
    """One schedule, if the account may see it."""
    return _visible_to(identity).filter(pk=schedule_id).first()


def _visible_to(identity: Identity) -> QuerySet[Schedule]:
    return Schedule.objects.all() if identity.is_admin else Schedule.objects.filter(team_id=identity.team_id)


def by_ids(schedule_ids: Iterable[UUID]) -> dict[UUID, Schedule]:
    """Those of the schedules that still exist."""
    return Schedule.objects.in_bulk(list(schedule_ids))


def awaited_by_slot_of(task: Task) -> UUID | None:
    """The task for whose end the slot waits whose coming occurrence this task is."""
    waiting = Schedule.objects.filter(pk=task.schedule_id, coming_task_id=task.pk)
    return waiting.values_list("behind_task_id", flat=True).first()


def has_leader(now: datetime) -> bool:
    """Whether a scheduler leads."""
    return LeaderLease.objects.filter(expires_at__gt=now).exists()


def schedule_counts() -> dict[str, int]:
    """How many schedules are active, and how many paused."""
    paused = dict(Schedule.objects.order_by().values_list("paused").annotate(Count("pk")))
    return {"active": paused.get(False, 0), "paused": paused.get(True, 0)}


# --- duties --------------------------------------------------------------------------------------------------------


def last_success(duty: str) -> datetime | None:
    """When the duty was last through with its work, whichever scheduler performed it."""
    return DutyRecord.objects.filter(name=duty).values_list("succeeded_at", flat=True).first()


def duty_records() -> dict[str, DutyRecord]:
    """What each duty does and has done, by its name; those that nobody has performed yet are left out."""
    return DutyRecord.objects.in_bulk()
