"""Making, changing, pausing, resuming, running and deleting schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of
from accounts.permissions import requires
from accounts.roles import Role
from scheduling import changes, definition, models
from scheduling.graphql.inputs import ScheduleInput
from scheduling.graphql.queries import visible_schedule
from scheduling.graphql.types import Schedule, with_owners
from tasks import models as task_models
from tasks.graphql.related import with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Task

SCHEDULE_ID = graphene.ID(required=True, description="The schedule's id.")


class SchedulingMutation(graphene.ObjectType):
    """The fields of Mutation that schedules answer."""

    create_schedule = graphene.Field(
        Schedule,
        required=True,
        input=ScheduleInput(required=True, description="When it is due, and which task it makes."),
        description="Make a schedule in your team; its coming task is PENDING from now on.",
    )
    update_schedule = graphene.Field(
        Schedule,
        required=True,
        id=SCHEDULE_ID,
        input=ScheduleInput(required=True, description="What is to change."),
        description="Change a schedule and its coming task; a change of when it is due counts from now on.",
    )
    pause_schedule = graphene.Field(
        Schedule,
        required=True,
        id=SCHEDULE_ID,
        description="Withdraw the coming task of a schedule and make no more until it is resumed.",
    )
    resume_schedule = graphene.Field(
        Schedule, required=True, id=SCHEDULE_ID, description="Go on with a schedule from the first moment after now."
    )
    run_schedule_now = graphene.Field(
        Task,
        required=True,
        id=SCHEDULE_ID,
        description="Make a task like those of a schedule at once, paused or not; its slots stay as they are.",
    )
    delete_schedule = graphene.ID(
        required=True,
        id=SCHEDULE_ID,
        description="Remove a schedule and its coming task; tasks that it released stay. Answers its id.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_create_schedule(root: None, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> models.Schedule:
        """Check it and make it."""
        identity, now = info.context.identity, info.context.clock.now()
        with fields_of("input"):
            schedule = changes.create(definition.read(input, identity.team_id, now), identity.team_id, identity, now)
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_update_schedule(
        root: None, info: GraphQLResolveInfo, id: str, input: Mapping[str, Any]
    ) -> models.Schedule:
        """Change it."""
        found = visible_schedule(info, id)
        with fields_of("input"):
            schedule = changes.update(found.pk, input, info.context.identity, info.context.clock.now())
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_pause_schedule(root: None, info: GraphQLResolveInfo, id: str) -> models.Schedule:
        """Pause it."""
        schedule = changes.pause(visible_schedule(info, id).pk, info.context.identity)
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_resume_schedule(root: None, info: GraphQLResolveInfo, id: str) -> models.Schedule:
        """Resume it."""
        found = visible_schedule(info, id)
        schedule = changes.resume(found.pk, info.context.identity, info.context.clock.now())
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_run_schedule_now(root: None, info: GraphQLResolveInfo, id: str) -> task_models.Task:
        """Make the task."""
        found = visible_schedule(info, id)
        task = changes.run_now(found.pk, info.context.identity, info.context.clock.now())
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_delete_schedule(root: None, info: GraphQLResolveInfo, id: str) -> str:
        """Remove it."""
        schedule = visible_schedule(info, id)
        changes.delete(schedule, info.context.identity)
        return str(schedule.pk)
