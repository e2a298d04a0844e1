"""What the operations for workers answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from dtq_site.foundation.scalars import JSON
from tasks import models as task_models
from tasks.domain.lease import LeasedTask as Leased
from tasks.domain.lease import RenewalVerdict as Renewal
from tasks.domain.locks import LockVerdict as Lock
from tasks.domain.outcome import OutcomeVerdict as Report
from tasks.graphql.related import with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Task, WhenLost
from tasks.parent_results import results_within
from workers.graphql.types import Worker

MOST_BYTES_OF_RESULTS = 1_000_000
"""How much of the results of parents one answer to a claim carries."""

_RENEWALS = {
    None: "How a renewal was taken.",
    Renewal.RENEWED: "The lease has its new length, counted from when the request was sent.",
    Renewal.LOST: "The task is no longer the worker's. What it has run may be reported still, and may be refused.",
    Renewal.CANCELLED: "The task was cancelled: stop it, and release it to say that it has stopped.",
}
_REPORTS = {
    None: "How a report was taken. Whichever it is, the outcome is settled and need not be sent again.",
    Report.ACCEPTED: "It is recorded now.",
    Report.DUPLICATE: "It was recorded before.",
    Report.STALE_LEASE: "The task is no longer the worker's; what was reported is at most kept as evidence.",
}
_LOCKS = {
    None: "What becomes of an attempt to take a lock.",
    Lock.TAKEN: "The attempt holds it, also if it did before.",
    Lock.BUSY: "Another attempt holds it.",
    Lock.LOST: "The attempt is over, so that it may take none.",
}
LockVerdict = graphene.Enum.from_enum(Lock, name="LockVerdict", description=_LOCKS.__getitem__)
RenewalVerdict = graphene.Enum.from_enum(Renewal, description=_RENEWALS.__getitem__)
ReportVerdict = graphene.Enum.from_enum(Report, name="ReportVerdict", description=_REPORTS.__getitem__)


class LeasedTask(graphene.ObjectType):
    """A task that a worker has claimed. What its attempt needs stands here; `task` is the whole of it."""

    task_id = graphene.ID(required=True, description="The task's id.")
    fencing_token = graphene.Int(required=True, description="The token to report with; it grows with every claim.")
    claim_id = graphene.ID(required=True, description="The id of the claim that won it.")
    lease_ms = graphene.Int(
        required=True,
        description="For how long it is the worker's, in milliseconds from when the worker sent its request.",
    )
    name = graphene.String(required=True, description="The handler that is to run.")
    queue = graphene.String(required=True, description="The queue from which it was taken.")
    payload = JSON(required=True, description="An object: its keys are the handler's arguments.")
    attempt = graphene.Int(required=True, description="Which attempt this is, counted from 1.")
    timeout_seconds = graphene.Float(required=True, description="The time limit of the attempt.")
    begin_first = graphene.Boolean(
        required=True, description="Whether `beginTasks` must have answered before the handler may start."
    )
    lock = graphene.String(description="The lock that it needs and holds, if there is one.")
    lock_fencing_number = graphene.Float(
        required=True, description="That lock's number; it grows whenever it is taken."
    )
    when_lost = graphene.Field(
        WhenLost,
        required=True,
        description="What becomes of it if its lease runs out; HOLD begins with the first renewal.",
    )
    parent_results = JSON(
        description="What the tasks have returned that it depends on, an object by their keys; null if that is too large to be "
        "sent along, and has to be asked for by `parentResults`."
    )
    request_id = graphene.String(description="The id of the request that made it, if it was one: for lines of a log.")
    traceparent = graphene.String(
        description="The span that made it, if it is traced, as W3C Trace Context writes it: for the worker's spans."
    )
    task = graphene.Field(Task, required=True, description="The task as it stands now.")


class LockResult(graphene.ObjectType):
    """The answer to an attempt that wants a lock."""

    verdict = graphene.Field(LockVerdict, required=True, description="Whether it has it.")
    fencing_number = graphene.Float(required=True, description="The lock's number, which grows whenever it is taken.")


class LeaseVerdict(graphene.ObjectType):
    """How one renewal was taken."""

    task_id = graphene.ID(required=True, description="The task.")
    verdict = graphene.Field(RenewalVerdict, required=True, description="Whether it is still the worker's.")
    lease_ms = graphene.Int(
        required=True,
        description="For how long it is the worker's from when the request was sent, in milliseconds; 0 unless RENEWED.",
    )


class OutcomeVerdict(graphene.ObjectType):
    """How one report was taken."""

    task_id = graphene.ID(required=True, description="The task.")
    verdict = graphene.Field(ReportVerdict, required=True, description="Whether it counts.")


class HeartbeatResult(graphene.ObjectType):
    """The answer to a sign of life."""

    worker = graphene.Field(Worker, required=True, description="The worker as the server knows it.")
    stop_tasks = graphene.List(
        graphene.NonNull(graphene.ID),
        required=True,
        description="Those of `activeTasks` that are no longer this account's: cancelled, or lost.",
    )
    offline_after_ms = graphene.Int(
        required=True, description="After what silence the worker counts as offline, in milliseconds."
    )


def leased_tasks(leased: Sequence[Leased], info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    """Each with the lease and the task in one; the tasks' rows, and what their parents have returned, are read if they are
    selected.

    The worker counts the lease from when it sent its request, which may have waited here: that time is added.
    """
    selection = Selection.below(info)
    task_ids = [each.lease.task_id for each in leased]
    results = results_within(task_ids, MOST_BYTES_OF_RESULTS) if "parentResults" in selection else {}
    rows: dict[Any, task_models.Task] = {}
    if "task" in selection:
        rows = task_models.Task.objects.in_bulk(task_ids)
        with_related(list(rows.values()), info, selection["task"])
    return [
        {
            **vars(each),
            **vars(each.lease),
            "lease_ms": int((each.lease_seconds + info.context.waited_seconds) * 1000),
            "parent_results": results.get(each.lease.task_id),
            "task": rows.get(each.lease.task_id),
        }
        for each in leased
    ]
