"""What the API shows of workers. Fields without a resolver are columns, or what `with_counts` has loaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import graphene
from django.conf import settings
from graphql import GraphQLResolveInfo

from dtq_site.foundation.scalars import DateTime
from tasks.graphql.selection import Selection
from workers import models, selectors
from workers.domain.liveness import WorkerStatus as Status
from workers.domain.liveness import is_online

_STATUSES = {
    None: "What a worker last said of itself.",
    Status.RUNNING: "It works.",
    Status.STOPPING: "It ends its running tasks and takes no more.",
    Status.STOPPED: "It has ended as it should.",
}
WorkerStatus = graphene.Enum.from_enum(Status, description=_STATUSES.__getitem__)


class Worker(graphene.ObjectType):
    """A process that runs tasks."""

    id = graphene.ID(required=True, description="The worker's id, a UUID.")
    name = graphene.String(required=True, description="The name that it was given.")
    hostname = graphene.String(required=True, description="The machine that it runs on.")
    queues = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="The queues that it serves; none is all of them."
    )
    handlers = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="The names of the handlers that it knows."
    )
    concurrency = graphene.Int(required=True, description="How many tasks it runs at once.")
    transport = graphene.String(required=True, description="How it gets its tasks.")
    active_task_count = graphene.Int(required=True, description="How many tasks it runs now.")
    is_online = graphene.Boolean(required=True, description="Whether it was heard of lately and has not ended.")
    status = graphene.Field(WorkerStatus, required=True, description="What it last said of itself.")
    last_heartbeat = DateTime(required=True, description="When it was last heard of.")
    offline_since = DateTime(description="When it was last heard of, if it is offline and has not ended as it should.")
    lease_expires_at = DateTime(
        description="Until when all that it runs stays its own if nothing more is heard of it; null if it runs nothing."
    )
    started_at = DateTime(required=True, description="When it started.")
    version = graphene.String(required=True, description="Its version of DTQ.")

    @staticmethod
    def resolve_handlers(worker: models.Worker, info: GraphQLResolveInfo) -> list[str]:
        """The names alone, in order."""
        return sorted(worker.handlers)

    @staticmethod
    def resolve_is_online(worker: models.Worker, info: GraphQLResolveInfo) -> bool:
        """By the clock of the request."""
        now, offline_after = info.context.clock.now(), settings.DTQ_WORKERS.offline_after
        return is_online(worker.status, worker.last_heartbeat, now, offline_after)

    @staticmethod
    def resolve_offline_since(worker: models.Worker, info: GraphQLResolveInfo) -> datetime | None:
        """By the clock of the request."""
        ended = worker.status == Status.STOPPED
        return None if ended or Worker.resolve_is_online(worker, info) else worker.last_heartbeat


def with_counts(workers: Sequence[models.Worker], selection: Selection) -> Sequence[models.Worker]:
    """The workers, with what is selected of them that stands on their tasks."""
    if "activeTaskCount" in selection:
        counts = selectors.active_task_counts(worker.pk for worker in workers)
        for worker in workers:
            worker.active_task_count = counts[worker.pk]
    if "leaseExpiresAt" in selection:
        ends = selectors.lease_ends(worker.pk for worker in workers)
        for worker in workers:
            worker.lease_expires_at = ends.get(worker.pk)
    return workers
