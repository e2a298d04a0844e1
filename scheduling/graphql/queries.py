"""Reading schedules, and asking what an expression means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import read_id
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import NotFound
from dtq_site.foundation.scalars import DateTime
from scheduling import models, selectors
from scheduling.domain.timing import DEFAULT_TIMEZONE, Timing, check_moment
from scheduling.domain.wording import describe
from scheduling.graphql.types import Schedule, SchedulePreview, coming_runs, run_count, with_owners
from tasks.graphql.selection import Selection


class SchedulingQuery(graphene.ObjectType):
    """The fields of Query that schedules answer."""

    schedules = graphene.List(
        graphene.NonNull(Schedule), required=True, description="The team's schedules, by name; for admins all."
    )
    schedule = graphene.Field(
        Schedule, id=graphene.ID(required=True, description="The schedule's id."), description="One schedule."
    )

    preview_schedule = graphene.Field(
        SchedulePreview,
        required=True,
        cron_expression=graphene.String(required=True, description="Five fields, six, or `@daily` and the like."),
        timezone=graphene.String(default_value=DEFAULT_TIMEZONE, description="Its IANA time zone."),
        after=DateTime(description="From which moment on; now, if left out."),
        count=run_count(),
        description="What a cron expression means: in words, and when it would be due. Nothing is made.",
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

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_preview_schedule(
        root: None,
        info: GraphQLResolveInfo,
        cron_expression: str,
        timezone: str | None,
        count: int | None,
        after: datetime | None = None,
    ) -> dict[str, Any]:
        """Say it."""
        check_moment(after, "after")
        timing = Timing(cron_expression, None, DEFAULT_TIMEZONE if timezone is None else timezone)
        runs = coming_runs(timing, after or info.context.clock.now(), count)
        return {"description": describe(timing), "runs": runs}


def visible_schedule(info: GraphQLResolveInfo, id: str) -> models.Schedule:
    """The schedule of that id. Raises NotFound if there is none, or none that the caller may see."""
    schedule = selectors.schedule(read_id(id), info.context.identity)
    if schedule is None:
        raise NotFound
    return schedule
