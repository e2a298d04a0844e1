"""Reading schedules."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import NotFound
from scheduling import models, selectors
from scheduling.graphql.types import Schedule, with_owners
from tasks.graphql.inputs import read_id
from tasks.graphql.selection import Selection


class SchedulingQuery(graphene.ObjectType):
    """The fields of Query that schedules answer."""

    schedules = graphene.List(
        graphene.NonNull(Schedule), required=True, description="The team's schedules, by name; for admins all."
    )
    schedule = graphene.Field(
        Schedule, id=graphene.ID(required=True, description="The schedule's id."), description="One schedule."
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_schedules(root: None, info: GraphQLResolveInfo) -> Sequence[models.Schedule]:
        """The rows, with the owners that are selected of them."""
        return with_owners(selectors.schedules(info.context.identity), Selection.below(info))

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_schedule(root: None, info: GraphQLResolveInfo, id: str) -> models.Schedule:
        """The schedule, if the caller may see it."""
        return with_owners([visible_schedule(info, id)], Selection.below(info))[0]


def visible_schedule(info: GraphQLResolveInfo, id: str) -> models.Schedule:
    """The schedule of that id. Raises NotFound if there is none, or none that the caller may see."""
    schedule = selectors.schedule(read_id(id), info.context.identity)
    if schedule is None:
        raise NotFound
    return schedule
