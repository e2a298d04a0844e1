"""Following tasks and queues. Each field has two functions: one says what it is interested in, one shows an event."""

from __future__ import annotations

from collections.abc import Sequence

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import read_text
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from tasks import models, selectors
from tasks.domain.states import TERMINAL
from tasks.events import Change
from tasks.graphql.queries import visible_task
from tasks.graphql.related import unselected_columns, with_counts, with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Queue, Task
from tasks.news import QueueInterest, TaskInterest

_OF_QUEUE = graphene.String(description="Only tasks of this queue.")
_FOR_HANDLER = graphene.String(description="Only tasks for this handler.")
_OF_ID = graphene.ID(description="Only this task. If it has ended already, that is shown at once.")


class TasksSubscription(graphene.ObjectType):
    """The fields of Subscription that tasks answer."""

    task_created = graphene.Field(
        Task,
        required=True,
        queue=_OF_QUEUE,
        name=_FOR_HANDLER,
        description="Each task that is created from now on, as it stands when it is shown.",
    )
    task_status_changed = graphene.Field(
        Task,
        required=True,
        id=_OF_ID,
        queue=_OF_QUEUE,
        name=_FOR_HANDLER,
        description="Each task that enters a state from now on. States that follow each other quickly may merge; the last "
        "one is always shown.",
    )
    task_updated = graphene.Field(
        Task,
        required=True,
        id=_OF_ID,
        since=graphene.Int(
            description="With an `id`: the version that the client has seen. A newer one is shown at once."
        ),
        queue=_OF_QUEUE,
        name=_FOR_HANDLER,
        description="Each task that changes in any way from now on, progress included. Changes that follow each other "
        "quickly may merge; the last one is always shown.",
    )
    queue_stats = graphene.List(
        graphene.NonNull(Queue),
        required=True,
        queue=graphene.String(description="Only this queue."),
        description="The queues, at once and whenever they look different; a second apart at least.",
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def subscribe_task_created(
        root: None, info: GraphQLResolveInfo, queue: str | None = None, name: str | None = None
    ) -> TaskInterest:
        """New tasks of the caller's team."""
        return _interest(info, Change.CREATED, queue, name)

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def subscribe_task_status_changed(
        root: None,
        info: GraphQLResolveInfo,
        id: str | None = None,
        queue: str | None = None,
        name: str | None = None,
    ) -> TaskInterest:
        """Moves of the caller's team's tasks, or of one."""
        interest = _interest(info, Change.MOVED, queue, name)
        return interest if id is None else _following(interest, visible_task(info, id))

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def subscribe_task_updated(
        root: None,
        info: GraphQLResolveInfo,
        id: str | None = None,
        since: int | None = None,
        queue: str | None = None,
        name: str | None = None,
    ) -> TaskInterest:
        """All changes of the caller's team's tasks, or of one."""
        interest = _interest(info, Change.UPDATED, queue, name)
        if id is not None:
            return _following(interest, visible_task(info, id), since)
        if since is not None:
            raise BadInput("Versions are of one task each: give its id as well.", field="since")
        return interest

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def subscribe_queue_stats(root: None, info: GraphQLResolveInfo, queue: str | None = None) -> QueueInterest:
        """Queues are everybody's."""
        if queue is not None:
            read_text(queue, "queue")
        return QueueInterest()

    @staticmethod
    def resolve_task_created(task: models.Task, info: GraphQLResolveInfo, **_arguments: object) -> models.Task:
        """The task, with all that is selected of it."""
        return with_related([task], info)[0]

    resolve_task_status_changed = resolve_task_created
    resolve_task_updated = resolve_task_created

    @staticmethod
    def resolve_queue_stats(root: object, info: GraphQLResolveInfo, queue: str | None = None) -> Sequence[models.Queue]:
        """The rows as they are now, with the counts that are selected."""
        return with_counts(selectors.queues(None if queue is None else [queue]), info)


def _interest(info: GraphQLResolveInfo, change: Change, queue: str | None, name: str | None) -> TaskInterest:
    identity = info.context.identity
    return TaskInterest(
        change,
        team_id=None if identity.is_admin else identity.team_id,
        queue=queue,
        name=name,
        opened_at=info.context.clock.now(),
        unselected=frozenset(unselected_columns(Selection.below(info))),
    )


def _following(interest: TaskInterest, task: models.Task, since: int | None = None) -> TaskInterest:
    """Follow one task. Who does not say what version it has seen may have missed the end."""
    interest.task_id = task.pk
    if since is not None:
        interest.version = since
    elif task.status not in TERMINAL:
        interest.version, interest.status = task.version, task.status
    return interest
