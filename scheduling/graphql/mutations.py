"""Pausing, resuming and deleting schedules."""

from __future__ import annotations

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from scheduling import models, schedules
from scheduling.graphql.queries import visible_schedule
from scheduling.graphql.types import Schedule, with_owners
from tasks.graphql.selection import Selection

SCHEDULE_ID = graphene.ID(required=True, description="The schedule's id.")


class SchedulingMutation(graphene.ObjectType):
    """The fields of Mutation that schedules answer."""

    pause_schedule = graphene.Field(
        Schedule,
        required=True,
        id=SCHEDULE_ID,
        description="Withdraw the coming task of a schedule and make no more until it is resumed.",
    )
    resume_schedule = graphene.Field(
        Schedule, required=True, id=SCHEDULE_ID, description="Go on with a schedule from the first moment after now."
    )
    delete_schedule = graphene.ID(
        required=True,
        id=SCHEDULE_ID,
        description="Remove a schedule and its coming task; tasks that it released stay. Answers its id.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_pause_schedule(root: None, info: GraphQLResolveInfo, id: str) -> models.Schedule:
        """Pause it."""
        schedule = schedules.pause(visible_schedule(info, id).pk, info.context.clock.now())
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_resume_schedule(root: None, info: GraphQLResolveInfo, id: str) -> models.Schedule:
        """Resume it."""
        schedule = schedules.resume(visible_schedule(info, id).pk, info.context.clock.now())
        return with_owners([schedule], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_delete_schedule(root: None, info: GraphQLResolveInfo, id: str) -> str:
        """Remove it."""
        schedule = visible_schedule(info, id)
        schedules.delete(schedule.pk)
        return str(schedule.pk)
