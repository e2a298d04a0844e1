"""Following workers."""

from __future__ import annotations

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from tasks.graphql.selection import Selection
from workers import models
from workers.graphql.types import Worker, with_counts
from workers.news import WorkerInterest


class WorkersSubscription(graphene.ObjectType):
    """The fields of Subscription that workers answer."""

    worker_status_changed = graphene.Field(
        Worker,
        required=True,
        description="Each worker of the caller's team, for admins of any, that signs on or off, begins to stop, goes offline "
        "or comes back.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def subscribe_worker_status_changed(root: None, info: GraphQLResolveInfo) -> WorkerInterest:
        """The workers that serve the caller's team."""
        identity = info.context.identity
        return WorkerInterest(None if identity.is_admin else identity.team_id)

    @staticmethod
    def resolve_worker_status_changed(worker: models.Worker, info: GraphQLResolveInfo) -> models.Worker:
        """The worker, with the counts that are selected."""
        return with_counts([worker], Selection.below(info))[0]
