"""Creating and changing tasks, and how queues are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import fields_of, read_text
from accounts.identity import Identity
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from tasks import changes, lifecycle, models, submission
from tasks.domain.submission import Request
from tasks.graphql.bulk import BulkMutation
from tasks.graphql.handler_limits import HandlerLimitsMutation
from tasks.graphql.inputs import (
    CreateTaskInput,
    UpdateQueueInput,
    UpdateTaskInput,
    read_changes,
    read_request,
)
from tasks.graphql.queries import visible_task
from tasks.graphql.related import with_counts, with_related
from tasks.graphql.types import Queue, Task
from tasks.graphql.workflow import WorkflowMutation
from tasks.submission import MAX_TASKS_PER_CALL, Owner

TASK_ID = graphene.ID(required=True, description="The task's id.")
QUEUE_NAME = graphene.String(required=True, description="The queue's name.")


class TasksMutation(WorkflowMutation, BulkMutation, HandlerLimitsMutation):
    """The fields of Mutation that tasks answer."""

    create_task = graphene.Field(
        Task,
        required=True,
        input=CreateTaskInput(required=True, description="What is to be done."),
        description="Create a task; with a `cronExpression` a schedule, answered with its coming task.",
    )
    create_tasks = graphene.List(
        graphene.NonNull(Task),
        required=True,
        inputs=graphene.List(
            graphene.NonNull(CreateTaskInput),
            required=True,
            description=f"At most {MAX_TASKS_PER_CALL:,}; none of them may recur.",
        ),
        description="Create several tasks, all or none, answered in the order of the inputs.",
    )
    update_task = graphene.Field(
        Task,
        required=True,
        id=TASK_ID,
        input=UpdateTaskInput(required=True, description="What is to change."),
        description="Change a task that is PENDING or QUEUED.",
    )
    cancel_task = graphene.Field(
        Task,
        required=True,
        id=TASK_ID,
        description="Call off a task that has not ended; a running one is stopped at its next checkpoint.",
    )
    retry_task = graphene.Field(
        Task,
        required=True,
        id=TASK_ID,
        description="Run a FAILED, DEAD_LETTER or CANCELLED task again, now, with all its attempts anew.",
    )
    reassign_task = graphene.Field(
        Task,
        required=True,
        id=TASK_ID,
        description="Keep a task no longer for the worker that is cut off with it: another one gets it as soon as its lease has "
        "ended.",
    )
    delete_task = graphene.ID(
        required=True,
        id=TASK_ID,
        description="Remove a task that has ended, with its logs; for admins. Answers its id.",
    )
    pause_queue = graphene.Field(
        Queue, required=True, name=QUEUE_NAME, description="Hold back the tasks of a queue; for admins."
    )
    resume_queue = graphene.Field(
        Queue, required=True, name=QUEUE_NAME, description="Hand out the tasks of a queue again; for admins."
    )

    update_queue = graphene.Field(
        Queue,
        required=True,
        name=QUEUE_NAME,
        input=UpdateQueueInput(required=True, description="What is to change."),
        description="Change how a queue is served; for admins. It makes no queue.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_create_task(root: None, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> models.Task:
        """Submit it, as a task or as a schedule."""
        owner, clock = _owner(info.context.identity), info.context.clock
        with fields_of("input"):
            request, recurrence = read_request(input)
            if recurrence is None:
                task = submission.submit_one(request, owner, clock)
            else:
                task = submission.submit_recurring(request, recurrence, owner, clock)
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_create_tasks(
        root: None, info: GraphQLResolveInfo, inputs: Sequence[Mapping[str, Any]]
    ) -> Sequence[models.Task]:
        """Submit them in one call."""
        requests = [_plain_request(input, f"inputs[{index}]") for index, input in enumerate(inputs)]
        return with_related(submission.submit(requests, _owner(info.context.identity), info.context.clock), info)

    @staticmethod
    @requires(Role.USER)
    def resolve_update_task(root: None, info: GraphQLResolveInfo, id: str, input: Mapping[str, Any]) -> models.Task:
        """Check the changes like a creation, then write them if the task has not started."""
        task, now = visible_task(info, id), info.context.clock.now()
        with fields_of("input"):
            task = lifecycle.update(task.pk, read_changes(input, task, now), now, info.context.identity.user_id)
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_cancel_task(root: None, info: GraphQLResolveInfo, id: str) -> models.Task:
        """Cancel it."""
        task = changes.cancel_task(visible_task(info, id), info.context.identity, info.context.clock.now())
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_retry_task(root: None, info: GraphQLResolveInfo, id: str) -> models.Task:
        """Start it anew."""
        task = changes.retry_task(visible_task(info, id), info.context.identity, info.context.clock.now())
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_reassign_task(root: None, info: GraphQLResolveInfo, id: str) -> models.Task:
        """Hold it no longer."""
        task = changes.reassign_task(visible_task(info, id), info.context.identity, info.context.clock.now())
        return with_related([task], info)[0]

    @staticmethod
    @requires()
    def resolve_delete_task(root: None, info: GraphQLResolveInfo, id: str) -> str:
        """Remove it."""
        task = visible_task(info, id)
        changes.delete_task(task, info.context.identity)
        return str(task.pk)

    @staticmethod
    @requires()
    def resolve_pause_queue(root: None, info: GraphQLResolveInfo, name: str) -> models.Queue:
        """Pause it."""
        queue = changes.pause_queue(read_text(name, "name"), info.context.identity)
        return with_counts([queue], info)[0]

    @staticmethod
    @requires()
    def resolve_resume_queue(root: None, info: GraphQLResolveInfo, name: str) -> models.Queue:
        """Resume it."""
        queue = changes.resume_queue(read_text(name, "name"), info.context.identity)
        return with_counts([queue], info)[0]

    @staticmethod
    @requires()
    def resolve_update_queue(root: None, info: GraphQLResolveInfo, name: str, input: Mapping[str, Any]) -> models.Queue:
        """Check the changes and write them."""
        read_text(name, "name")
        with fields_of("input"):
            queue = changes.configure_queue(name, input, info.context.identity)
        return with_counts([queue], info)[0]


def _owner(identity: Identity) -> Owner:
    return Owner(identity.team_id, identity.user_id)


def _plain_request(input: Mapping[str, Any], where: str) -> Request:
    with fields_of(where):
        request, recurrence = read_request(input)
        if recurrence is not None:
            raise BadInput("A recurring task is made alone, with createTask.", field="cronExpression")
    return request
