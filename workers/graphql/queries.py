"""Reading workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import read_id
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import NotFound
from dtq_site.foundation.scalars import JSON
from tasks.graphql.selection import Selection
from workers import models, remote, selectors
from workers.graphql.inputs import LeaseInput, read_lease
from workers.graphql.types import Worker, with_counts


class WorkersQuery(graphene.ObjectType):
    """The fields of Query that workers answer."""

    workers = graphene.List(
        graphene.NonNull(Worker),
        required=True,
        online=graphene.Boolean(description="Only workers that are online, or only those that are not."),
        description="The workers that serve the caller's team, by name; for admins all.",
    )
    worker = graphene.Field(
        Worker, id=graphene.ID(required=True, description="The worker's id."), description="One worker."
    )
    parent_results = JSON(
        required=True,
        worker_id=graphene.ID(required=True, description="The worker, which the same account has registered."),
        lease=LeaseInput(required=True, description="A task that the worker holds."),
        description="What the tasks have returned that this one depends on, an object by their keys; for workers.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_workers(root: None, info: GraphQLResolveInfo, online: bool | None = None) -> Sequence[models.Worker]:
        """The rows, with the counts that are selected of them."""
        found = selectors.workers(info.context.identity)
        if online is not None:
            found = [worker for worker in found if Worker.resolve_is_online(worker, info) == online]
        return with_counts(found, Selection.below(info))

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_worker(root: None, info: GraphQLResolveInfo, id: str) -> models.Worker:
        """The worker, if the caller may see it."""
        worker = selectors.worker(read_id(id), info.context.identity)
        if worker is None:
            raise NotFound
        return with_counts([worker], Selection.below(info))[0]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_parent_results(
        root: None, info: GraphQLResolveInfo, worker_id: str, lease: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Those of a task in hand."""
        remote.worker_of(read_id(worker_id), info.context.identity)
        return remote.results(read_lease(lease))
