"""Workers come, live and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from django.conf import settings
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.ids import parse_uuid
from tasks.graphql.selection import Selection
from workers import models, remote
from workers.domain.liveness import WorkerStatus as Status
from workers.graphql import inputs as given
from workers.graphql.answers import HeartbeatResult
from workers.graphql.arguments import WORKER_ID, milliseconds, the_worker
from workers.graphql.inputs import WorkerInput
from workers.graphql.types import Worker, WorkerStatus, with_counts


class PresenceMutation(graphene.ObjectType):
    """The fields of Mutation by which workers make themselves known."""

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
        worker, identity = the_worker(info, worker_id), info.context.identity
        said = {text: parse_uuid(text) for text in given.limited(active_tasks or (), "activeTasks")}
        remote.beat(worker, identity, Status(status or Status.RUNNING), info.context.clock)
        lost = remote.no_longer_held(set(said.values()) - {None}, identity)
        worker, selection = the_worker(info, worker_id), Selection.below(info)
        if "worker" in selection:
            with_counts([worker], selection["worker"])
        return {
            "worker": worker,
            "stop_tasks": [text for text, id_ in said.items() if id_ is None or id_ in lost],
            "offline_after_ms": milliseconds(settings.DTQ_WORKERS.offline_after),
        }
