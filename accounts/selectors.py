"""Reads about users and teams. Who may see what the fields of the API decide."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Team, User
from accounts.roles import Role


def users(limit: int, offset: int) -> QuerySet[User]:
    """A page of all accounts by user name, each with its team."""
    return User.objects.select_related("team").order_by("username")[offset : offset + limit]


def user(user_id: UUID | None) -> User | None:
    """One account with its team."""
    return User.objects.select_related("team").filter(id=user_id).first()


def teams(limit: int, offset: int) -> QuerySet[Team]:
    """A page of all teams by name."""
    return Team.objects.order_by("name")[offset : offset + limit]


def team(team_id: UUID | None) -> Team | None:
    """One team."""
    return Team.objects.filter(id=team_id).first()


def admins_among(user_ids: Collection[UUID]) -> set[UUID]:
    """Those of the accounts that are of role admin."""
    return (
        set(User.objects.filter(pk__in=user_ids, role=Role.ADMIN).values_list("pk", flat=True)) if user_ids else set()
    )
