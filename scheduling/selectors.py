"""Reads about schedules and schedulers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from scheduling.models import LeaderLease, Schedule


def visible(team_id: UUID | None) -> list[Schedule]:
    """The schedules of a team, or of all teams with None, by name."""
    schedules = Schedule.objects.order_by("name", "id")
    return list(schedules if team_id is None else schedules.filter(team_id=team_id))


def schedule(schedule_id: UUID, team_id: UUID | None) -> Schedule | None:
    """One schedule, if the team may see it."""
    found = Schedule.objects.filter(pk=schedule_id)
    return (found if team_id is None else found.filter(team_id=team_id)).first()


def has_leader(now: datetime) -> bool:
    """Whether a scheduler leads."""
    return LeaderLease.objects.filter(expires_at__gt=now).exists()
