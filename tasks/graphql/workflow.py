"""Creating tasks that depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from tasks import models, submission
from tasks.domain.submission import Request
from tasks.domain.workflow import MOST_EDGES
from tasks.graphql.inputs import WorkflowTaskInput
from tasks.graphql.related import with_related
from tasks.graphql.types import Task
from tasks.submission import MAX_TASKS_PER_CALL, Owner


class WorkflowMutation(graphene.ObjectType):
    """The field of Mutation that makes workflows."""

    create_workflow = graphene.List(
        graphene.NonNull(Task),
        required=True,
        tasks=graphene.List(
            graphene.NonNull(WorkflowTaskInput),
            required=True,
            description=f"At most {MAX_TASKS_PER_CALL:,}, in any order, with up to {MOST_EDGES:,} dependencies.",
        ),
        description="Create tasks that depend on each other, all or none, answered in the order of the inputs.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_create_workflow(
        root: None, info: GraphQLResolveInfo, tasks: Sequence[Mapping[str, Any]]
    ) -> Sequence[models.Task]:
        """Submit them in one call."""
        identity, clock = info.context.identity, info.context.clock
        owner = Owner(identity.team_id, identity.user_id)
        made = submission.submit([Request(**task) for task in tasks], owner, clock, argument="tasks")
        return with_related(made, info)
