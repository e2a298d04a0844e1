"""What went wrong, for operators: dead letters by their error, and how the attempts of a task ended that did not complete."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import MOST, read_limit
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.scalars import DateTime
from tasks import failures, models
from tasks.graphql.related import answer_on_task
from tasks.graphql.selection import Selection


class DeadLetterGroup(graphene.ObjectType):
    """Dead letters of one handler whose errors differ in numbers and ids at most."""

    name = graphene.String(required=True, description="The handler.")
    gist = graphene.String(required=True, description="The line that says what was wrong; … stands for what varies.")
    count = graphene.Int(required=True, description="How many there are.")
    latest_at = DateTime(required=True, description="When the latest of them died.")
    latest_id = graphene.ID(required=True, description="The id of that one; ask `task` for it.")
    common_text = graphene.String(
        description="A text that all of these errors have, for `TaskFilter.error`; null if they are empty."
    )


class AttemptEnding(graphene.ObjectType):
    """How one attempt ended that did not complete, or a report that came too late."""

    attempt = graphene.Int(required=True, description="Which attempt, counted from 1.")
    ending = graphene.String(
        required=True, description="failed, discarded, lost with its worker, cancelled, or refused: reported too late."
    )
    error = graphene.String(description="What was wrong.")
    ended_at = DateTime(required=True, description="When that was recorded.")
    worker_id = graphene.ID(description="The id of the worker that ran it; ask `worker` for it.")

    @staticmethod
    def resolve_error(ending: models.TaskAttempt, info: GraphQLResolveInfo) -> str | None:
        """The error, or None if there is none."""
        return ending.error or None


class FailuresQuery(graphene.ObjectType):
    """The field of Query about dead letters."""

    dead_letter_groups = graphene.List(
        graphene.NonNull(DeadLetterGroup),
        required=True,
        limit=graphene.Int(default_value=10, description=f"How many groups at most, up to {MOST:,}."),
        description="The dead letters that the caller may see, by handler and error, the largest group first; of more than "
        f"{failures.LOOKED_AT:,} the latest.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_dead_letter_groups(
        root: None, info: GraphQLResolveInfo, limit: int | None = None
    ) -> Sequence[failures.DeadLetterGroup]:
        """The groups."""
        return failures.dead_letters_by_error(info.context.identity, read_limit(limit))


def register() -> None:
    """Add the field `endings` to the type Task; call it once, before the schema is built."""
    field = graphene.Field(
        graphene.List(graphene.NonNull(AttemptEnding)),
        required=True,
        description=f"How its attempts ended that did not complete, the earliest first; of more than {failures.MOST_ENDINGS} "
        "the newest.",
    )
    answer_on_task({"endings": field}, _load_endings)


def _load_endings(tasks: Sequence[models.Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    by_id = {task.pk: task for task in tasks}
    for task in tasks:
        task.endings = []
    for ending in failures.endings(by_id):
        by_id[ending.task_id].endings.append(ending)
