"""What the API shows of schedules. Fields without a resolver are columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import graphene
from django.db.models import Prefetch, prefetch_related_objects
from graphql import GraphQLResolveInfo

from accounts.graphql.types import Team, User
from accounts.models import User as UserRow
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.scalars import JSON, DateTime
from scheduling import models
from scheduling.definition import timing_of
from scheduling.domain.cron import zone
from scheduling.domain.timing import Timing
from scheduling.domain.wording import describe
from scheduling.graphql.inputs import MisfirePolicy, OverlapPolicy
from tasks.domain.priority import level_name
from tasks.graphql.selection import Selection
from tasks.graphql.types import PriorityLevel

DEFAULT_RUNS, MOST_RUNS = 20, 100


def run_count() -> graphene.Int:
    """The argument that says how many runs are shown."""
    return graphene.Int(default_value=DEFAULT_RUNS, description=f"How many; at most {MOST_RUNS}.")


def coming_runs(timing: Timing, after: datetime, count: int | None) -> list[dict[str, Any]]:
    """The first slots after a moment. Raises BadInput on ``count``."""
    count = DEFAULT_RUNS if count is None else count
    if not 1 <= count <= MOST_RUNS:
        raise BadInput(f"count must be from 1 to {MOST_RUNS}.", field="count")
    place = zone(timing.timezone)
    return [
        {"at": slot, "local": slot.astimezone(place).isoformat(), "adjusted": timing.is_touched(slot)}
        for slot in islice(timing.slots(after), count)
    ]


class ScheduleRun(graphene.ObjectType):
    """A moment at which a schedule is due."""

    at = DateTime(required=True, description="The moment, in UTC.")
    local = graphene.String(required=True, description="The same in its time zone, with the offset of that moment.")
    adjusted = graphene.Boolean(
        required=True,
        description="Whether a change of the clock touches it: it stands for what was due in the skipped hour, or the clock "
        "shows its time twice.",
    )


class SchedulePreview(graphene.ObjectType):
    """What a cron expression means."""

    description = graphene.String(required=True, description="In words, such as `at 02:00 every day, Europe/Berlin`.")
    runs = graphene.List(graphene.NonNull(ScheduleRun), required=True, description="When it is due next.")


class Schedule(graphene.ObjectType):
    """A recurring definition: when, and which task it makes."""

    id = graphene.ID(required=True, description="The schedule's id, a UUID.")
    name = graphene.String(required=True, description="The handler of the tasks that it makes.")
    title = graphene.String(required=True, description="The title of its tasks.")
    description = graphene.String(
        required=True,
        description="What somebody said about it, which its tasks bear too; else when it is due, in words.",
    )
    cron_expression = graphene.String(description="When it is due, in its time zone; null if an interval says it.")
    interval_seconds = graphene.Int(description="Every how many seconds it is due; null if an expression says it.")
    timezone = graphene.String(required=True, description="The IANA time zone of the expression.")
    timing = graphene.String(
        required=True, description="When it is due, in words, such as `at 02:00 every day, Europe/Berlin`."
    )
    starts_at = DateTime(description="It is not due before.")
    ends_at = DateTime(description="It is not due after.")
    jitter_seconds = graphene.Int(required=True, description="How long after its slot a task is released at most.")
    misfire_policy = graphene.Field(
        MisfirePolicy, required=True, description="What it does about slots that passed while no scheduler ran."
    )
    overlap_policy = graphene.Field(
        OverlapPolicy, required=True, description="What it does when its previous task still runs."
    )
    paused = graphene.Boolean(required=True, description="Whether it makes no tasks until it is resumed.")
    next_run_at = DateTime(
        description="When its coming task is released, jitter included; null while it is paused, and after its end."
    )
    next_runs = graphene.List(
        graphene.NonNull(ScheduleRun),
        required=True,
        count=run_count(),
        description="When it is due from now on, without jitter, whether it is paused or not.",
    )
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
    def resolve_description(schedule: models.Schedule, info: GraphQLResolveInfo) -> str:
        """The description that it was given, or the timing in words."""
        return schedule.description or describe(timing_of(schedule))

    @staticmethod
    def resolve_timing(schedule: models.Schedule, info: GraphQLResolveInfo) -> str:
        """The timing in words."""
        return describe(timing_of(schedule))

    @staticmethod
    def resolve_next_runs(
        schedule: models.Schedule, info: GraphQLResolveInfo, count: int | None
    ) -> list[dict[str, Any]]:
        """The slots after now."""
        return coming_runs(timing_of(schedule), info.context.clock.now(), count)

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
