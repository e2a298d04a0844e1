"""What workers do with the tasks that they hold: get them, keep them, give them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from tasks.domain.lease import RenewalVerdict as Renewal
from workers import gateway, remote
from workers.graphql import inputs as given
from workers.graphql.answers import LeasedTask, LeaseVerdict, leased_tasks
from workers.graphql.arguments import LEASES, WORKER_ID, milliseconds, the_worker


class HoldingMutation(graphene.ObjectType):
    """The fields of Mutation about leases."""

    claim_tasks = graphene.List(
        graphene.NonNull(LeasedTask),
        required=True,
        worker_id=WORKER_ID,
        claim_id=graphene.ID(
            required=True, description="A new UUID for each claim, the same one when this request is repeated."
        ),
        limit=graphene.Int(required=True, description=f"How many tasks at most, from 1 to {given.MOST_CLAIMED}."),
        lease_seconds=graphene.Int(
            description="How long a lease is wished. A claim grants a minute at most; the first renewal grants the rest."
        ),
        wait_seconds=graphene.Int(
            default_value=0,
            description="How long to wait for tasks while there are none, at most "
            f"{given.LONGEST_WAIT_SECONDS}; over HTTP only.",
        ),
        repeated=graphene.Boolean(
            default_value=False,
            description="Whether this claim was sent before: it is then answered with what it has won, if anything.",
        ),
        description="Lease ready tasks of the account's team, the first in line first.",
    )
    begin_tasks = graphene.List(
        graphene.NonNull(graphene.ID),
        required=True,
        worker_id=WORKER_ID,
        leases=LEASES,
        description="Note that attempts have started, so that their loss counts. Answers the tasks that are still the worker's.",
    )
    renew_leases = graphene.List(
        graphene.NonNull(LeaseVerdict),
        required=True,
        worker_id=WORKER_ID,
        leases=LEASES,
        lease_seconds=graphene.Int(
            description="The new length, within what the server grants; if left out, what the worker's last claim wished."
        ),
        description="Extend leases, counted from now. Answers a verdict for each, in order.",
    )
    release_tasks = graphene.Int(
        required=True,
        worker_id=WORKER_ID,
        leases=LEASES,
        description="Give back tasks that have not begun, or say that cancelled ones have stopped. Answers how many were "
        "the worker's.",
    )
    forfeit_tasks = graphene.Int(
        required=True,
        worker_id=WORKER_ID,
        leases=LEASES,
        description="Give up tasks that had begun when the process that ran them died, without waiting for the lease to "
        "end. Answers how many were the worker's.",
    )

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_claim_tasks(
        root: None,
        info: GraphQLResolveInfo,
        worker_id: str,
        claim_id: str,
        limit: int,
        lease_seconds: int | None = None,
        wait_seconds: int | None = None,
        repeated: bool | None = None,
    ) -> Sequence[dict[str, Any]]:
        """Claim, and have the field asked again later if there was nothing and the worker would wait."""
        worker, identity = the_worker(info, worker_id), info.context.identity
        wait = given.within(wait_seconds or 0, "waitSeconds", 0, given.LONGEST_WAIT_SECONDS)
        leased = remote.claim(
            worker,
            identity,
            given.read_uuid(claim_id, "claimId"),
            given.within(limit, "limit", 1, given.MOST_CLAIMED),
            given.read_lease_length(lease_seconds),
            repeated=bool(repeated),
            clock=info.context.clock,
        )
        if wait and not leased and (caller := remote.caller_of(worker, identity)) is not None:
            info.context.postpone(info, caller, wait)
        return leased_tasks(leased, info)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_begin_tasks(
        root: None, info: GraphQLResolveInfo, worker_id: str, leases: Sequence[Mapping[str, Any]]
    ) -> list[Any]:
        """Mark them."""
        the_worker(info, worker_id)
        return [lease.task_id for lease in gateway.begin(given.read_leases(leases), info.context.clock)]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_renew_leases(
        root: None,
        info: GraphQLResolveInfo,
        worker_id: str,
        leases: Sequence[Mapping[str, Any]],
        lease_seconds: int | None = None,
    ) -> list[dict[str, Any]]:
        """Extend them, for as long as is granted."""
        worker, wanted = the_worker(info, worker_id), given.read_leases(leases)
        verdicts, length = remote.renew(worker, wanted, given.read_lease_length(lease_seconds), info.context.clock)
        return [
            {
                "task_id": input["task_id"],
                "verdict": verdicts[lease],
                "lease_ms": milliseconds(length) if verdicts[lease] is Renewal.RENEWED else 0,
            }
            for input, lease in zip(leases, wanted, strict=True)
        ]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_release_tasks(
        root: None, info: GraphQLResolveInfo, worker_id: str, leases: Sequence[Mapping[str, Any]]
    ) -> int:
        """Give them back."""
        the_worker(info, worker_id)
        return gateway.release(given.read_leases(leases), info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_forfeit_tasks(
        root: None, info: GraphQLResolveInfo, worker_id: str, leases: Sequence[Mapping[str, Any]]
    ) -> int:
        """Give them up."""
        the_worker(info, worker_id)
        return gateway.forfeit(given.read_leases(leases), info.context.clock)
