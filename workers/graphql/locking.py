"""What attempts do about locks while they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from tasks.domain.locks import LockAnswer
from workers import gateway
from workers.graphql.answers import LockResult
from workers.graphql.arguments import WORKER_ID, the_worker
from workers.graphql.inputs import LeaseInput, read_lease

LEASE = LeaseInput(required=True, description="A running task that the worker holds.")
NAME = graphene.String(required=True, description="The lock's name, one for the whole installation.")


class LockingMutation(graphene.ObjectType):
    """The fields of Mutation about locks."""

    take_lock = graphene.Field(
        LockResult,
        required=True,
        worker_id=WORKER_ID,
        lease=LEASE,
        name=NAME,
        description="Try to take a lock for a running task, which holds it until `freeLock` or the end of its lease.",
    )
    free_lock = graphene.Boolean(
        required=True,
        worker_id=WORKER_ID,
        lease=LEASE,
        name=NAME,
        description="Free a lock of a running task; false if it does not hold it (any more).",
    )

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_take_lock(
        root: None, info: GraphQLResolveInfo, worker_id: str, lease: Mapping[str, Any], name: str
    ) -> LockAnswer:
        """Take it, if it is free."""
        the_worker(info, worker_id)
        return gateway.take_lock(read_lease(lease), name, info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_free_lock(
        root: None, info: GraphQLResolveInfo, worker_id: str, lease: Mapping[str, Any], name: str
    ) -> bool:
        """Free it."""
        the_worker(info, worker_id)
        return gateway.free_lock(read_lease(lease), name, info.context.clock)
