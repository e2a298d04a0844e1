"""What the API shows of schedules. Fields without a resolver are columns."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from django.db.models import Prefetch, prefetch_related_objects
from graphql import GraphQLResolveInfo

from accounts.graphql.types import Team, User
from accounts.models import User as UserRow
from dtq_site.foundation.scalars import JSON, DateTime
from scheduling import models
from tasks.domain.priority import level_name
from tasks.graphql.selection import Selection
from tasks.graphql.types import PriorityLevel


class Schedule(graphene.ObjectType):
    """A recurring definition: when, and which task it makes."""

    id = graphene.ID(required=True, description="The schedule's id, a UUID.")
    name = graphene.String(required=True, description="The handler of the tasks that it makes.")
    title = graphene.String(required=True, description="The title of its tasks.")
    description = graphene.String(description="The description of its tasks.")
    cron_expression = graphene.String(required=True, description="When it is due, in its time zone.")
    timezone = graphene.String(required=True, description="The IANA time zone of the expression.")
    paused = graphene.Boolean(required=True, description="Whether it makes no tasks until it is resumed.")
    next_run_at = DateTime(description="When it is due next; null while it is paused.")
    last_run_at = DateTime(description="When it released a task last.")
    created_at = DateTime(required=True, description="When it was made.")
    payload = JSON(required=True, description="The payload of its tasks.")
    queue = graphene.String(required=True, description="The queue of its tasks.")
    priority = graphene.Int(required=True, description="The priority of its tasks.")
    priority_level = graphene.Field(
        PriorityLevel, required=True, description="The highest level at or below the priority; below 1, LOW."
    )
    max_retries = graphene.Int(required=True, description="How many attempts may follow the first one of each task.")
    timeout_seconds = graphene.Float(required=True, description="The time limit of one attempt.")
    user = graphene.Field(User, description="Who made it; null if the account is gone.")
    team = graphene.Field(Team, required=True, description="The team that it belongs to.")

    @staticmethod
    def resolve_description(schedule: models.Schedule, info: GraphQLResolveInfo) -> str | None:
        """The description, or None if there is none."""
        return schedule.description or None

    @staticmethod
    def resolve_next_run_at(schedule: models.Schedule, info: GraphQLResolveInfo) -> object:
        """The coming slot."""
        return schedule.next_due

    @staticmethod
    def resolve_last_run_at(schedule: models.Schedule, info: GraphQLResolveInfo) -> object:
        """The last time that it fired."""
        return schedule.last_fired_at

    @staticmethod
    def resolve_priority_level(schedule: models.Schedule, info: GraphQLResolveInfo) -> str:
        """The level of the priority."""
        return level_name(schedule.priority)


def with_owners(schedules: Sequence[models.Schedule], selection: Selection) -> Sequence[models.Schedule]:
    """The schedules, with the accounts and teams that are selected of them."""
    if "user" in selection:
        prefetch_related_objects(schedules, Prefetch("user", UserRow.objects.select_related("team")))
    if "team" in selection:
        prefetch_related_objects(schedules, "team")
    return schedules
