"""The field `health` of the API: what `/health` answers, with a schema."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import public
from accounts.roles import Role
from dtq_site.foundation.scalars import DateTime
from dtq_site.health import report


class HealthStatus(graphene.Enum):
    """How healthy an installation is."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"

    @property
    def description(self) -> str:
        """What the state means."""
        return _STATUSES[self.name]


_STATUSES = {
    "OK": "All parts are there.",
    "DEGRADED": "Tasks are accepted and none is lost, but Redis, a worker or a scheduler is missing, a duty does not do well, "
    "a queue is stuck, or the rows are slow to tell.",
    "DOWN": "The database does not answer; nothing works.",
}


class HealthCheck(graphene.ObjectType):
    """How one part is."""

    name = graphene.String(
        required=True,
        description="database, redis, workers, scheduler, a duty of its, or a queue that is stuck: `queue` and its name for whom "
        "may ask for `queues`, else `queues` for all of them.",
    )
    status = graphene.String(
        required=True,
        description="ok; else down, or none where nobody of the kind is there; of a duty failing or behind; of a queue stuck; "
        "of the rows slow.",
    )
    milliseconds = graphene.Float(description="How long it took to answer.")
    stuck = graphene.Int(description="Of `queues`: how many are stuck.")
    error = graphene.String(description="What kind of error it answered with.")


class HealthWorkers(graphene.ObjectType):
    """How many workers there are."""

    online = graphene.Int(required=True, description="Those that were heard of lately and have not ended.")
    total = graphene.Int(required=True, description="Those too that have fallen silent.")


class HealthQueue(graphene.ObjectType):
    """What waits, over all queues."""

    depth = graphene.Int(required=True, description="How many tasks are QUEUED, for workers.")
    dead_letter = graphene.Int(required=True, description="How many are DEAD_LETTER, for people.")


class Health(graphene.ObjectType):
    """The state of the whole installation."""

    status = graphene.Field(HealthStatus, required=True, description="The sum of all checks.")
    timestamp = DateTime(required=True, description="When it was looked at.")
    uptime = graphene.Int(required=True, description="For how many seconds this process has been running.")
    workers = graphene.Field(HealthWorkers, required=True, description="How many workers there are.")
    queue = graphene.Field(HealthQueue, required=True, description="What waits.")
    checks = graphene.List(graphene.NonNull(HealthCheck), required=True, description="Part by part.")


class HealthQuery(graphene.ObjectType):
    """The field of Query about the whole installation."""

    health = graphene.Field(Health, required=True, description="How healthy the installation is; for everybody.")

    @staticmethod
    @public
    def resolve_health(root: None, info: GraphQLResolveInfo) -> dict[str, Any]:
        """The report, its checks in a list; one for the whole operation. It names queues to those who may ask for `queues`."""
        found = info.context.found
        if "health" not in found:
            who = info.context.identity
            found["health"] = report(names_queues=who is not None and who.role is not Role.WORKER and who.grant is None)
        answer = found["health"]
        return answer | {
            "timestamp": datetime.fromisoformat(answer["timestamp"]),
            "queue": {"depth": answer["queue"]["depth"], "dead_letter": answer["queue"]["deadLetter"]},
            "checks": [{"name": name, **check} for name, check in answer["checks"].items()],
        }
