"""The operations for workers. Each may be repeated when its answer was lost: nothing comes to count twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import graphene
from django.conf import settings
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of, read_id
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.ids import parse_uuid
from tasks import models as task_models
from tasks.domain.lease import RenewalVerdict as Renewal
from tasks.graphql.inputs import CreateTaskInput
from tasks.graphql.related import with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Task
from tasks.submission import MAX_TASKS_PER_CALL
from workers import gateway, models, remote
from workers.domain.liveness import WorkerStatus as Status
from workers.graphql import inputs as given
from workers.graphql.answers import HeartbeatResult, LeasedTask, LeaseVerdict, OutcomeVerdict, leased_tasks
from workers.graphql.inputs import LeaseInput, OutcomeInput, ProgressInput, WorkerInput
from workers.graphql.types import Worker, WorkerStatus, with_counts

WORKER_ID = graphene.ID(required=True, description="The worker, which the same account has registered.")
LEASES = graphene.List(
    graphene.NonNull(LeaseInput),
    required=True,
    description=f"At most {given.MOST_ITEMS:,}; also those of a worker that is gone, which another one inherits.",
)


class WorkersMutation(graphene.ObjectType):
    """The fields of Mutation that workers answer."""

    register_worker = graphene.Field(
        Worker,
        required=True,
        input=WorkerInput(required=True, description="What the worker says of itself."),
        description="Make a worker known. Again under the same id replaces what it said before.",
    )
    heartbeat = graphene.Field(
        HeartbeatResult,
        required=True,
        worker_id=WORKER_ID,
        active_tasks=graphene.List(
            graphene.NonNull(graphene.ID), description=f"The tasks that it runs, at most {given.MOST_ITEMS:,}."
        ),
        status=WorkerStatus(
            default_value=Status.RUNNING.value,
            description="What it says of itself; STOPPED signs it off, when it has reported and released all that it held.",
        ),
        description="A sign of life. NOT_FOUND: the server has forgotten the worker, which must register again.",
    )
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
    record_progress = graphene.Int(
        required=True,
        worker_id=WORKER_ID,
        records=graphene.List(
            graphene.NonNull(ProgressInput),
            required=True,
            description=f"At most {given.MOST_ITEMS:,}, with that many log lines in all.",
        ),
        description="Keep log lines, also of leases that are lost, and the progress of running tasks. Answers how many "
        "lines belong to tasks that the account may write to.",
    )
    report_outcomes = graphene.List(
        graphene.NonNull(OutcomeVerdict),
        required=True,
        worker_id=WORKER_ID,
        outcomes=graphene.List(
            graphene.NonNull(OutcomeInput), required=True, description=f"At most {given.MOST_ITEMS:,}."
        ),
        description="Record what attempts ended in, each once. Answers a verdict for each, in order.",
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
    enqueue_tasks = graphene.List(
        graphene.NonNull(Task),
        required=True,
        worker_id=WORKER_ID,
        parent=LeaseInput(
            required=True, description="The task on whose behalf they are created: one that it holds or has held."
        ),
        inputs=graphene.List(
            graphene.NonNull(CreateTaskInput),
            required=True,
            description=f"At most {MAX_TASKS_PER_CALL:,}, each with an `idempotencyKey`; none of them may recur.",
        ),
        description="Create tasks on behalf of a running one, in its team, all or none, answered in the order of the inputs.",
    )

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_register_worker(root: None, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> models.Worker:
        """Sign it on."""
        identity, clock = info.context.identity, info.context.clock
        with fields_of("input"):
            worker = remote.register(given.read_card(input, identity), identity, clock)
        return with_counts([worker], Selection.below(info))[0]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_heartbeat(
        root: None,
        info: GraphQLResolveInfo,
        worker_id: str,
        active_tasks: Sequence[str] | None = None,
        status: str | None = None,
    ) -> dict[str, Any]:
        """Note it, and say what to stop."""
        worker, identity = _worker(info, worker_id), info.context.identity
        said = {text: parse_uuid(text) for text in given.limited(active_tasks or (), "activeTasks")}
        remote.beat(worker, identity, Status(status or Status.RUNNING), info.context.clock)
        lost = remote.no_longer_held(set(said.values()) - {None}, identity)
        worker, selection = _worker(info, worker_id), Selection.below(info)
        if "worker" in selection:
            with_counts([worker], selection["worker"])
        return {
            "worker": worker,
            "stop_tasks": [text for text, id_ in said.items() if id_ is None or id_ in lost],
            "offline_after_ms": _milliseconds(settings.DTQ_WORKERS.offline_after),
        }

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
        worker, identity = _worker(info, worker_id), info.context.identity
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
        _worker(info, worker_id)
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
        worker, wanted = _worker(info, worker_id), given.read_leases(leases)
        verdicts, length = remote.renew(worker, wanted, given.read_lease_length(lease_seconds), info.context.clock)
        return [
            {
                "task_id": input["task_id"],
                "verdict": verdicts[lease],
                "lease_ms": _milliseconds(length) if verdicts[lease] is Renewal.RENEWED else 0,
            }
            for input, lease in zip(leases, wanted, strict=True)
        ]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_record_progress(
        root: None, info: GraphQLResolveInfo, worker_id: str, records: Sequence[Mapping[str, Any]]
    ) -> int:
        """Keep what belongs to the account's tasks."""
        _worker(info, worker_id)
        lines, progress = given.read_progress(records)
        return remote.record(lines, progress, info.context.identity, info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_report_outcomes(
        root: None, info: GraphQLResolveInfo, worker_id: str, outcomes: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Settle them."""
        _worker(info, worker_id)
        told = given.read_outcomes(outcomes)
        verdicts = remote.report(told, info.context.identity, info.context.clock)
        return [
            {"task_id": input["task_id"], "verdict": verdicts[outcome.lease]}
            for input, outcome in zip(outcomes, told, strict=True)
        ]

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_release_tasks(
        root: None, info: GraphQLResolveInfo, worker_id: str, leases: Sequence[Mapping[str, Any]]
    ) -> int:
        """Give them back."""
        _worker(info, worker_id)
        return gateway.release(given.read_leases(leases), info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_forfeit_tasks(
        root: None, info: GraphQLResolveInfo, worker_id: str, leases: Sequence[Mapping[str, Any]]
    ) -> int:
        """Give them up."""
        _worker(info, worker_id)
        return gateway.forfeit(given.read_leases(leases), info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_enqueue_tasks(
        root: None,
        info: GraphQLResolveInfo,
        worker_id: str,
        parent: Mapping[str, Any],
        inputs: Sequence[Mapping[str, Any]],
    ) -> Sequence[task_models.Task]:
        """Create them in the parent's team."""
        _worker(info, worker_id)
        requests = [given.read_child(input, f"inputs[{index}]") for index, input in enumerate(inputs)]
        made = remote.enqueue(given.read_lease(parent), requests, info.context.identity, info.context.clock)
        return with_related(made, info)


def _worker(info: GraphQLResolveInfo, worker_id: str) -> models.Worker:
    return remote.worker_of(read_id(worker_id), info.context.identity)


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
