"""What the API shows of tasks and queues. Fields without a resolver are columns, or what `related.py` has loaded."""

from __future__ import annotations

from uuid import UUID

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.types import Team, User
from dtq_site.foundation.scalars import JSON, DateTime
from tasks import models
from tasks.domain import reasons
from tasks.domain.lease import WhenLost as Lost
from tasks.domain.priority import LEVELS, level_name
from tasks.domain.reasons import ReasonCode as Code
from tasks.domain.states import TaskStatus as Status
from tasks.listing import TaskOrder as Order
from tasks.selectors import MOST_LOG_LINES

_STATUSES = {
    None: "Where a task stands. As an argument it may be written in any case, and as text.",
    Status.PENDING: "Accepted, not ready: due later, or waiting after a failure.",
    Status.QUEUED: "Ready, waiting for a worker.",
    Status.PROCESSING: "A worker runs it.",
    Status.COMPLETED: "Done; its result is kept.",
    Status.FAILED: "Given up by its handler: another attempt would not help.",
    Status.CANCELLED: "Called off by somebody.",
    Status.DEAD_LETTER: "All its attempts are used up; somebody has to look.",
}
_ORDERS = {
    None: "The order of a list of tasks. It may be written in any case, and as text.",
    Order.NEWEST: "The newest first.",
    Order.OLDEST: "The oldest first.",
    Order.PRIORITY: "The highest priority first, in one priority the one that has been ready longest.",
    Order.UPDATED: "The one that changed last first.",
}

_LOSSES = {
    None: "What becomes of a task when the lease of a remote worker that is cut off runs out. It may be written in any case.",
    Lost.REASSIGN: "Another worker gets it.",
    Lost.HOLD: "It is kept for that worker until it is back, or until somebody cancels or reassigns the task, for some days at "
    "most.",
}
_REASONS = {
    None: "Why a task is not running, for programs.",
    Code.DUE_LATER: "It is due later, at `until`.",
    Code.BACKOFF: "Its last attempt did not succeed; the next one may begin at `until`.",
    Code.SCHEDULED: "It is the coming occurrence of a schedule, to be released at `until`.",
    Code.OVERLAP: "Its schedule runs one task at a time, and the one of the slot before, `task`, has not ended.",
    Code.NO_SCHEDULER: "No scheduler runs that would make it ready.",
    Code.LOCK_HELD: "It needs a lock, which `task` holds.",
    Code.RATE_LIMIT: "Too many tasks of its queue, or for its handler, have started of late; its turn is at `until`.",
    Code.CONCURRENCY_LIMIT: "As many tasks of its queue, or for its handler, run as may at a time.",
    Code.DEPENDENCY: "It depends on `task`, which has not completed.",
    Code.CANCELLED_ATTEMPT: "It was cancelled and retried, and `worker` has not acknowledged yet that the old attempt is over.",
    Code.QUEUE_PAUSED: "Its `queue` is paused.",
    Code.TASKS_AHEAD: "Other tasks go before it in its `queue`; the message says how many.",
    Code.NO_WORKER: "No worker that is online serves its `queue`.",
    Code.UNKNOWN_HANDLER: "Workers serve its `queue`, but none of them knows its handler.",
    Code.READY: "Nothing stands in its way.",
    Code.RUNNING: "It is running: `worker` holds it, at present until `until`.",
    Code.WORKER_SILENT: "The `worker` that holds it was not heard of lately.",
    Code.HELD_FOR_WORKER: "The lease of `worker` has ended, and the task is kept for it, until `until` at most.",
    Code.COMPLETED: "It is done.",
    Code.FAILED: "Its handler gave it up.",
    Code.CANCELLED: "It was cancelled.",
    Code.CANCEL_UNHEARD: "It was cancelled while it ran, and `worker` has not acknowledged that yet.",
    Code.ATTEMPTS_USED_UP: "It is a dead letter because its attempts are used up.",
    Code.WORKER_LOST: "It is a dead letter because it lost its worker too often.",
}

TaskStatus = graphene.Enum.from_enum(Status, description=_STATUSES.__getitem__)
WhenLost = graphene.Enum.from_enum(Lost, name="WhenLost", description=_LOSSES.__getitem__)
TaskOrder = graphene.Enum.from_enum(Order, description=_ORDERS.__getitem__)
ReasonCode = graphene.Enum.from_enum(Code, description=_REASONS.__getitem__)
PriorityLevel = graphene.Enum(
    "PriorityLevel",
    sorted(LEVELS.items(), key=lambda level: level[1]),
    description=lambda level: f"Priority {level.value}." if level else "The named levels of priority.",
)


class TaskLog(graphene.ObjectType):
    """A line that a task's handler wrote."""

    message = graphene.String(required=True, description="The text of the line.")
    level = graphene.String(required=True, description="debug, info, warning or error.")
    created_at = DateTime(required=True, description="When the line was kept.")
    attempt = graphene.Int(required=True, description="In which attempt it was written, counted from 1.")


class Task(graphene.ObjectType):
    """One piece of work, its state and its result."""

    id = graphene.ID(required=True, description="The task's id, a UUID; ids grow with time.")
    name = graphene.String(required=True, description="The handler that does the work.")
    title = graphene.String(required=True, description="What people call it; the name, unless somebody said otherwise.")
    description = graphene.String(description="What people say about it.")
    queue = graphene.String(required=True, description="The queue in which it waits.")
    priority = graphene.Int(required=True, description="Higher runs first; from -100 to 100.")
    priority_level = graphene.Field(
        PriorityLevel, required=True, description="The highest level at or below the priority; below 1, LOW."
    )
    payload = JSON(required=True, description="An object: its keys are the handler's arguments.")
    status = graphene.Field(TaskStatus, required=True, description="Where the task stands.")
    attempts = graphene.Int(required=True, description="How often it was started.")
    retries = graphene.Int(required=True, description="Failed attempts that were followed by another one.")
    max_retries = graphene.Int(required=True, description="How many attempts may follow the first one.")
    lost_leases = graphene.Int(required=True, description="How often its worker died or vanished while it ran.")
    timeout_seconds = graphene.Float(required=True, description="The time limit of one attempt.")
    progress = graphene.Int(description="How far it is, in per cent, where its handler says so.")
    result = JSON(description="What its handler returned; null until it is COMPLETED.")
    error = graphene.String(description="Why the last attempt failed.")
    idempotency_key = graphene.String(description="The key under which it was created, if there was one.")
    created_at = DateTime(required=True, description="When it was created.")
    updated_at = DateTime(required=True, description="When it changed last.")
    scheduled_at = DateTime(description="The moment before which it is not run.")
    queued_at = DateTime(description="When it became ready.")
    started_at = DateTime(description="When its last attempt began.")
    completed_at = DateTime(description="When it reached a final state.")
    lease_expires_at = DateTime(description="Until when a worker holds it, if none is heard of any more.")
    when_lost = graphene.Field(
        WhenLost, required=True, description="What becomes of it when a worker that is cut off has held it for so long."
    )
    held_until = DateTime(
        description="Until when it is kept for its worker at most, even beyond `leaseExpiresAt`; null if it is not."
    )
    version = graphene.Int(required=True, description="Grows with every change.")
    user = graphene.Field(User, description="Who created it; null if it was code, or an account that is gone.")
    team = graphene.Field(Team, required=True, description="The team that it belongs to.")
    depends_on = graphene.List(
        graphene.NonNull(lambda: Task),
        required=True,
        description="The tasks that it waits for, or waited for, as far as they are still there and the caller may see them.",
    )
    logs = graphene.List(
        graphene.NonNull(TaskLog),
        required=True,
        description=f"What its handler wrote, oldest first; of more than {MOST_LOG_LINES:,} lines the newest.",
    )

    @staticmethod
    def resolve_description(task: models.Task, info: GraphQLResolveInfo) -> str | None:
        """The description, or None if there is none."""
        return task.description or None

    @staticmethod
    def resolve_priority_level(task: models.Task, info: GraphQLResolveInfo) -> str:
        """The level of the priority."""
        return level_name(task.priority)

    @staticmethod
    def resolve_error(task: models.Task, info: GraphQLResolveInfo) -> str | None:
        """The error, or None if there is none."""
        return task.error or None


class TaskEdge(graphene.ObjectType):
    """A task in its place in a list."""

    cursor = graphene.String(required=True, description="The place, to go on from.")
    node = graphene.Field(Task, required=True, description="The task.")


class PageInfo(graphene.ObjectType):
    """Where a page begins and ends."""

    has_next_page = graphene.Boolean(
        required=True, description="Whether to go on from `endCursor`; that page may turn out to be empty."
    )
    has_previous_page = graphene.Boolean(required=True, description="Whether the page begins after a cursor.")
    start_cursor = graphene.String(description="The place of the first task; null if the page has none.")
    end_cursor = graphene.String(
        description="The place up to which was looked, the last task's as a rule; null where nothing was found."
    )


class TaskConnection(graphene.ObjectType):
    """A page of a list of tasks. Tasks that are created meanwhile shift nothing."""

    edges = graphene.List(graphene.NonNull(TaskEdge), required=True, description="The tasks with their places.")
    nodes = graphene.List(graphene.NonNull(Task), required=True, description="The tasks alone.")
    page_info = graphene.Field(PageInfo, required=True, description="Where the page begins and ends.")


class Reason(graphene.ObjectType):
    """One reason why a task is not running."""

    code = graphene.Field(ReasonCode, required=True, description="The reason for programs.")
    message = graphene.String(required=True, description="The reason for people, a sentence.")
    until = DateTime(description="When it is over, if nothing comes between; null if nobody can say.")
    task = graphene.ID(description="The id of the other task that it is about; ask `task` for it.")
    worker = graphene.ID(description="The id of the worker that it is about; ask `worker` for it.")
    queue = graphene.String(description="The name of the queue that it is about.")

    @staticmethod
    def resolve_task(reason: reasons.Reason, info: GraphQLResolveInfo) -> UUID | None:
        """The id."""
        return reason.task_id

    @staticmethod
    def resolve_worker(reason: reasons.Reason, info: GraphQLResolveInfo) -> UUID | None:
        """The id."""
        return reason.worker_id


class Explanation(graphene.ObjectType):
    """Why a task is not running, or what became of it."""

    sentence = graphene.String(required=True, description="All reasons together, for people.")
    reasons = graphene.List(
        graphene.NonNull(Reason), required=True, description="The reasons, at least one, the weightiest first."
    )


class TaskStats(graphene.ObjectType):
    """How many tasks are in which state."""

    total = graphene.Int(required=True, description="All of them.")
    pending = graphene.Int(required=True, description="Those that are PENDING.")
    queued = graphene.Int(required=True, description="Those that are QUEUED.")
    processing = graphene.Int(required=True, description="Those that are PROCESSING.")
    completed = graphene.Int(required=True, description="Those that are COMPLETED.")
    failed = graphene.Int(required=True, description="Those that are FAILED; dead letters are counted apart.")
    dead_letter = graphene.Int(required=True, description="Those that are DEAD_LETTER.")
    cancelled = graphene.Int(required=True, description="Those that are CANCELLED.")


class Queue(graphene.ObjectType):
    """A named line of ready tasks, shared by all teams."""

    name = graphene.String(required=True, description="The queue's name.")
    paused = graphene.Boolean(required=True, description="Whether its tasks are held back.")
    depth = graphene.Int(required=True, description="How many of its tasks are QUEUED, over all teams.")
    processing = graphene.Int(required=True, description="How many of its tasks are PROCESSING, over all teams.")
    weight = graphene.Int(
        required=True, description="Its share of workers that serve several queues, beside the weights of the others."
    )
    ageing_seconds = graphene.Int(
        description="The age that is worth one level of priority; null if priority always goes before age."
    )
    rate_limit = graphene.String(description='How often its tasks start at most, such as "100/m"; null is no limit.')
    burst = graphene.Int(
        description="How many of them may start at once; null is what that rate lets start in a tenth of a second, at least one."
    )
    concurrency_limit = graphene.Int(description="How many of its tasks run at a time at most; null is no limit.")
    oldest_queued_at = DateTime(
        description="Since when the task has been ready that waits longest; null if none waits."
    )
