"""What workers tell of the tasks that they hold, and what these want created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import Forbidden
from tasks import models as task_models
from tasks.domain.submission import Request
from tasks.graphql.related import with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Task
from tasks.submission import MAX_TASKS_PER_CALL
from workers import remote
from workers.graphql import inputs as given
from workers.graphql.answers import OutcomeVerdict
from workers.graphql.arguments import WORKER_ID, the_worker
from workers.graphql.inputs import ChildTaskInput, LeaseInput, OutcomeInput, ProgressInput


class TellingMutation(graphene.ObjectType):
    """The fields of Mutation about attempts and what they bring forth."""

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
    enqueue_tasks = graphene.List(
        graphene.NonNull(Task),
        required=True,
        worker_id=WORKER_ID,
        parent=LeaseInput(
            required=True, description="The task on whose behalf they are created: one that it holds or has held."
        ),
        inputs=graphene.List(
            graphene.NonNull(ChildTaskInput),
            required=True,
            description=f"At most {MAX_TASKS_PER_CALL:,}, each with an `idempotencyKey`.",
        ),
        description="Create tasks on behalf of a running one, in its team, all or none, answered in the order of the inputs. "
        "Of one that is there already, and that others than workers have created, only `id`, `name`, `payload` and `status` "
        "may be asked for.",
    )

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_record_progress(
        root: None, info: GraphQLResolveInfo, worker_id: str, records: Sequence[Mapping[str, Any]]
    ) -> int:
        """Keep what belongs to the account's tasks."""
        the_worker(info, worker_id)
        lines, progress = given.read_progress(records)
        return remote.record(lines, progress, info.context.identity, info.context.clock)

    @staticmethod
    @requires(Role.WORKER, worker_token=True)
    def resolve_report_outcomes(
        root: None, info: GraphQLResolveInfo, worker_id: str, outcomes: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Settle them."""
        the_worker(info, worker_id)
        told = given.read_outcomes(outcomes)
        verdicts = remote.report(told, info.context.identity, info.context.clock)
        return [
            {"task_id": input["task_id"], "verdict": verdicts[outcome.lease]}
            for input, outcome in zip(outcomes, told, strict=True)
        ]

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
        the_worker(info, worker_id)
        requests = [Request(**input) for input in inputs]
        made = remote.enqueue(given.read_lease(parent), requests, info.context.identity, info.context.clock)
        told_of_all = all(field in _TOLD_OF_ALL for field in Selection.below(info))
        if not told_of_all and remote.has_foreign(made, info.context.identity):
            raise Forbidden(
                f"Of a task that others have created a worker is told {', '.join(_TOLD_OF_ALL)}; ask for no more."
            )
        return with_related(made, info)


_TOLD_OF_ALL = ("__typename", "id", "name", "payload", "status")
"""What an answer may say of a task that was there already: what the worker has said itself, and how the task stands."""
