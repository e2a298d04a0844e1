"""Arguments that operations for workers have in common."""

from __future__ import annotations

from datetime import timedelta

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import read_id
from dtq_site.foundation import causes
from workers import models, remote
from workers.graphql import inputs as given
from workers.graphql.inputs import LeaseInput

WORKER_ID = graphene.ID(required=True, description="The worker, which the same account has registered.")
LEASES = graphene.List(
    graphene.NonNull(LeaseInput),
    required=True,
    description=f"At most {given.MOST_ITEMS:,}; also those of a worker that is gone, which another one inherits.",
)


def the_worker(info: GraphQLResolveInfo, worker_id: str) -> models.Worker:
    """The worker that the account has registered under this id. Raises NotFound."""
    worker = remote.worker_of(read_id(worker_id), info.context.identity)
    causes.found_out(worker=worker.name)
    return worker


def milliseconds(length: timedelta) -> int:
    """The length as the API has it."""
    return length // timedelta(milliseconds=1)
