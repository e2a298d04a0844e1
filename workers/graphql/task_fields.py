"""What workers answer on the type Task: who runs it, and whether anybody could."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from graphql import GraphQLResolveInfo

from tasks.graphql.related import answer_on_task
from tasks.graphql.selection import Selection
from tasks.handling import registry
from tasks.models import Task
from workers import selectors
from workers.graphql.types import Worker, with_counts


def register() -> None:
    """Add the fields; call it once, before the schema is built."""
    worker = graphene.Field(Worker, description="The worker that runs it; null if none does, or if it is forgotten.")
    handler_known = graphene.Field(
        graphene.Boolean,
        required=True,
        description="Whether this server, or a worker that is online and serves the team, knows the task's handler.",
    )
    answer_on_task({"worker": worker}, _load_workers)
    answer_on_task({"handler_known": handler_known}, _load_known_handlers)


def _load_workers(tasks: Sequence[Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    owners = {task.lease_owner for task in tasks} - {None}
    workers = selectors.by_ids(owners) if owners else {}
    with_counts(list(workers.values()), selection["worker"])
    for task in tasks:
        task.worker = workers.get(task.lease_owner)


def _load_known_handlers(tasks: Sequence[Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    online = selectors.online_handlers(info.context.clock.now())
    for task in tasks:
        known_to_workers = any(team_id in (None, task.team_id) and task.name in names for team_id, names in online)
        task.handler_known = known_to_workers or registry.lookup(task.name) is not None
