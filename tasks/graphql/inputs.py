"""What clients send to tasks, and its way to the requests that `tasks.submission` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import graphene
from django.conf import settings

from accounts.graphql.arguments import read_text
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.ids import parse_uuid
from dtq_site.foundation.scalars import JSON, DateTime
from tasks import filters, listing
from tasks.domain.submission import Request, make_spec
from tasks.domain.workflow import MOST_PARENTS, OnFailure
from tasks.graphql.scalars import Priority
from tasks.graphql.types import TaskStatus, WhenLost
from tasks.models import Task
from tasks.queues import HEAVIEST
from tasks.recurrence import Recurrence
from tasks.submission import defaults_of

DEFAULT_TIMEZONE = "UTC"
MOST_IDS = 1000
NOBODY = UUID(int=0)
SEARCH = (
    "Only tasks with this text in name, title or description, in any case, or whose id begins with it (8 digits or more). "
    f"A list looks for text in the first {listing.SEARCHED:,} tasks in its order, or of the newest if it is in no order of "
    "time of creation, that meet the other conditions."
)
_FAILURES = {
    None: "What becomes of a task when one that it depends on ends otherwise than COMPLETED. It may be written in any case.",
    OnFailure.CANCEL: "It is cancelled, and what depends on it follows in the same way.",
    OnFailure.RUN: "It runs all the same, once the others have ended.",
    OnFailure.HOLD: "It waits until that one is retried and completes.",
}
OnDependencyFailure = graphene.Enum.from_enum(OnFailure, name="OnDependencyFailure", description=_FAILURES.__getitem__)
_TEXTS = frozenset({"name", "queue", "search", "error"})
_RECURRENCE = ("cron_expression", "is_recurring", "timezone")


class NewTaskFields:
    """What every new task may say."""

    name = graphene.String(description="The handler that is to run; else `payload.type` says it, else the title.")
    title = graphene.String(description="What people call the task; the name, if left out.")
    description = graphene.String(description="What people say about it.")
    payload = JSON(description="An object: its keys are the handler's arguments. At most 256 KiB by default.")
    priority = Priority(description="Higher runs first.")
    queue = graphene.String(description="The queue in which it is to wait; a new name makes a new queue.")
    max_retries = graphene.Int(description="How many attempts may follow a failed first one, from 0 to 1000.")
    timeout_seconds = graphene.Float(description="The time limit of one attempt.")
    scheduled_at = DateTime(description="The moment before which it must not run; a past one is now.")
    delay_seconds = graphene.Float(description="The same, counted from now; give one of the two.")
    idempotency_key = graphene.String(
        description="A key of your own: the same one again answers with the first task instead of making another."
    )
    on_dependency_failure = OnDependencyFailure(
        description="What is to become of it when a task that it depends on ends otherwise than COMPLETED; CANCEL, if left out."
    )
    when_lost = WhenLost(
        description="What is to become of it when the lease of a remote worker that is cut off runs out; REASSIGN, if neither "
        "this nor the handler's declaration says so."
    )


class CreateTaskInput(NewTaskFields, graphene.InputObjectType):
    """A new task. What is left out comes from the handler's declaration, else from the settings."""

    depends_on = graphene.List(
        graphene.NonNull(graphene.ID),
        description=f"The ids of tasks that must be COMPLETED before it is ready, at most {MOST_PARENTS:,}.",
    )
    cron_expression = graphene.String(
        description="Makes a schedule: five fields (minute, hour, day of month, month, day of week), six with the second first, "
        "or `@daily` and the like."
    )
    is_recurring = graphene.Boolean(description="Whether the task recurs; a `cronExpression` says so by itself.")
    timezone = graphene.String(description="The IANA time zone of the `cronExpression`; UTC, if left out.")


class WorkflowTaskInput(NewTaskFields, graphene.InputObjectType):
    """A new task among others on which it depends, or which depend on it."""

    key = graphene.String(
        required=True, description="What the others call it, and by which they find its result; each once in a call."
    )
    depends_on = graphene.List(
        graphene.NonNull(graphene.String),
        description="The keys of tasks of the same call, or ids of others, that must be COMPLETED before it is ready.",
    )


class UpdateTaskInput(graphene.InputObjectType):
    """What is to change about a task. Fields that are left out stay as they are; null sets one to what a new task gets whose
    creator is silent about it.
    """

    title = graphene.String(description="The new title; null is the task's name.")
    description = graphene.String(description="The new description; null is none.")
    payload = JSON(description="The new payload, in place of the whole old one; null is an empty one.")
    priority = Priority(description="The new priority; null is the handler's, else 5.")
    queue = graphene.String(description="The queue to move to; null is the handler's, else `default`.")
    max_retries = graphene.Int(description="The new number of retries; null is the handler's, else the installation's.")
    timeout_seconds = graphene.Float(
        description="The new time limit of one attempt; null is the handler's, else the installation's."
    )
    scheduled_at = DateTime(description="The new moment before which it must not run; null or a past one is now.")


class UpdateQueueInput(graphene.InputObjectType):
    """How a queue is to be served. Fields that are left out stay as they are; null sets one to what a new queue has."""

    weight = graphene.Int(
        description=f"Its share of workers that serve several queues, from 1 to {HEAVIEST:,}; null is 1."
    )
    ageing_seconds = graphene.Int(
        description="The age that is worth one level of priority, up to a week; null or 0: priority always goes before age."
    )
    rate_limit = graphene.String(
        description='How often its tasks start at most, such as "100/m", also by the s, h and d; null is no limit.'
    )
    burst = graphene.Int(
        description="How many of them may start at once; null is what that rate lets start in a tenth of a second, at least one."
    )
    concurrency_limit = graphene.Int(description="How many of its tasks run at a time at most; null or 0 is no limit.")


class TaskFilter(graphene.InputObjectType):
    """Which tasks: those that meet every condition that is given."""

    ids = graphene.List(
        graphene.NonNull(graphene.ID), description=f"Only tasks with one of these ids, at most {MOST_IDS:,}."
    )
    status = graphene.List(graphene.NonNull(TaskStatus), description="Only tasks in one of these states.")
    name = graphene.String(description="Only tasks for this handler.")
    queue = graphene.String(description="Only tasks of this queue.")
    priority = Priority(description="Only tasks of exactly this priority.")
    team_id = graphene.ID(description="Only tasks of this team; others than your own only for admins.")
    schedule_id = graphene.ID(description="Only tasks that this schedule has made.")
    worker_id = graphene.ID(description="Only tasks that this worker runs now.")
    created_after = DateTime(description="Only tasks that were created at this moment or later.")
    created_before = DateTime(description="Only tasks that were created before this moment.")
    search = graphene.String(description=SEARCH)
    error = graphene.String(description="Only tasks with this text in their error, in any case.")


def read_filter(input: Mapping[str, Any]) -> filters.TaskFilter:
    """The filter that a TaskFilter means; ids that are none find nothing. Raises BadInput."""
    wanted = {field: value for field, value in input.items() if value is not None}
    for field in sorted(_TEXTS & wanted.keys()):
        wanted[field] = read_text(wanted[field], field)
    if len(wanted.get("ids", ())) > MOST_IDS:
        raise BadInput(f"{len(wanted['ids']):,} ids; at most {MOST_IDS:,} are allowed.", field="ids")
    if "ids" in wanted:
        wanted["ids"] = [found for found in map(parse_uuid, wanted["ids"]) if found is not None]
    for field in ("team_id", "schedule_id", "worker_id"):
        if field in wanted:
            wanted[field] = parse_uuid(wanted[field]) or NOBODY
    return filters.TaskFilter(**wanted)


def read_request(input: Mapping[str, Any]) -> tuple[Request, Recurrence | None]:
    """What a CreateTaskInput asks for. Raises BadInput if it is at odds with itself about recurring."""
    request = Request(**{field: value for field, value in input.items() if field not in _RECURRENCE})
    cron_expression, is_recurring, timezone = (input.get(field) for field in _RECURRENCE)
    if cron_expression is not None:
        if is_recurring is False:
            raise BadInput("A cronExpression makes a task recur; leave out isRecurring or set it to true.",
                           field="isRecurring")  # fmt: skip
        return request, Recurrence(cron_expression, DEFAULT_TIMEZONE if timezone is None else timezone)
    if is_recurring:
        raise BadInput('Say when the task recurs, such as cronExpression: "0 2 * * *".', field="cronExpression")
    if timezone is not None:
        raise BadInput("A timezone is for recurring tasks: give a cronExpression too, or leave it out.",
                       field="timezone")  # fmt: skip
    return request, None


def read_changes(input: Mapping[str, Any], task: Task, now: datetime) -> dict[str, Any]:
    """The checked columns that an UpdateTaskInput changes, by the rules of creation. Raises BadInput."""
    if not input:
        raise BadInput("Give at least one field to change.")
    defaults = defaults_of(task.name, task.team_id)
    if "payload" not in input:
        defaults = replace(defaults, lock=None, per=None)
    spec = make_spec(Request(**input), task.name, defaults, now, settings.DTQ_TASKS.max_json_bytes)
    filled = {"lock": defaults.lock, "limit_key": defaults.per}
    return {column: getattr(spec, column) for column in [*input, *(column for column in filled if filled[column])]}
