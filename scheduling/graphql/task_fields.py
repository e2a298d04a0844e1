"""What schedules answer on the type Task: which one made it, and how it recurs."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from graphql import GraphQLResolveInfo

from scheduling import selectors
from scheduling.graphql.types import Schedule, with_owners
from tasks.graphql.related import answer_on_task
from tasks.graphql.selection import Selection
from tasks.models import Task


def register() -> None:
    """Add the fields; call it once, before the schema is built."""
    answer_on_task(
        {
            "schedule": graphene.Field(Schedule, description="The schedule that made it, while that exists."),
            "cron_expression": graphene.Field(
                graphene.String, description="When its schedule is due; null if it does not recur."
            ),
            "is_recurring": graphene.Field(
                graphene.Boolean, required=True, description="Whether a schedule makes such tasks."
            ),
        },
        _load_schedules,
    )


def _load_schedules(tasks: Sequence[Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    schedule_ids = {task.schedule_id for task in tasks} - {None}
    schedules = selectors.by_ids(schedule_ids) if schedule_ids else {}
    if "schedule" in selection:
        with_owners(list(schedules.values()), selection["schedule"])
    for task in tasks:
        task.schedule = schedule = schedules.get(task.schedule_id)
        task.is_recurring = schedule is not None
        task.cron_expression = schedule.cron_expression if schedule else None
