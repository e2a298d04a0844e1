"""Columns, indexes and constraints of tasks; no behaviour.

Every row here has one writer: `lifecycle/` for tasks, `queues.py` for queues, `audit.py` for logs and attempts,
`metrics.py` for sums, `locks.py` for locks and who waits for them, `lifecycle/dependencies.py` for dependencies
and ends, `limits.py` for limits of handlers, `limit_line.py` for who waits for a limit, `bulk.py` for requests that concern many
tasks.
The rows of webhooks are in `webhooks/models.py`.
"""

from __future__ import annotations

from django.db import models

from dtq_site.foundation.database import KeyField
from tasks.domain.lease import WhenLost
from tasks.domain.limits import MAX_LIMIT_NAME
from tasks.domain.locks import MAX_LOCK_NAME
from tasks.domain.rates import MAX_RATE_TEXT
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.templates import MAX_NAME
from tasks.domain.workflow import OnFailure
from tasks.webhooks.models import TaskEvent, Webhook, WebhookAttempt, WebhookDelivery  # noqa: F401 (found here by Django)


class Queue(models.Model):
    """A named line of ready tasks, shared by the whole installation."""

    name = KeyField(max_length=64, primary_key=True)
    paused = models.BooleanField(default=False)
    weight = models.PositiveSmallIntegerField(default=1, help_text="its share of workers that serve several queues")
    ageing_seconds = models.PositiveIntegerField(
        null=True, help_text="the age that is worth one level of priority; null is none: priority is strict"
    )
    rate_limit = models.CharField(
        max_length=MAX_RATE_TEXT, null=True, help_text='how often its tasks start, such as "100/m"; null is no limit'
    )
    burst = models.PositiveIntegerField(
        null=True, help_text="how many of them may start at once; null is what comes back within a tenth of a second"
    )
    concurrency_limit = models.PositiveIntegerField(
        null=True, help_text="how many of its tasks run at a time; null is no limit"
    )
    team_id = models.UUIDField(
        null=True, help_text="the team of whose share it is; null: of none, as the installation made it"
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.name)


class Task(models.Model):
    """One piece of work, its state and its result."""

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, related_name="+", db_constraint=False, db_index=False
    )
    schedule_id = models.UUIDField(null=True)
    idempotency_key = KeyField(max_length=255, null=True)

    name = KeyField(max_length=100)
    title = models.CharField(max_length=200)
    description = models.TextField(default="")
    payload = models.JSONField()
    queue = KeyField(max_length=64)
    priority = models.SmallIntegerField()
    max_retries = models.PositiveIntegerField()
    timeout_seconds = models.FloatField()

    status = models.CharField(max_length=12, choices=[(status, status) for status in TaskStatus])
    hold = models.CharField(max_length=8, default=Hold.NONE)
    ready_ms = models.BigIntegerField(help_text="since when its age counts, in milliseconds since 1970")
    rank = models.BigIntegerField(help_text="the place in the queue, lowest first; see domain/priority.py")
    version = models.PositiveIntegerField(default=1, help_text="grows with every change that an observer should see")

    attempts = models.PositiveIntegerField(default=0, help_text="executions that started, in all")
    earlier_attempts = models.PositiveIntegerField(default=0, help_text="those before the last manual retry")
    failures = models.PositiveIntegerField(default=0, help_text="failed attempts since the last manual retry")
    retries = models.PositiveIntegerField(default=0, help_text="failed attempts that were followed by another")
    lost_leases = models.PositiveIntegerField(default=0)
    progress = models.PositiveSmallIntegerField(null=True, help_text="per cent, as the handler reports it")
    result = models.JSONField(null=True)
    error = models.TextField(default="")

    lease_owner = models.UUIDField(null=True, help_text="the worker that runs it")
    claim_id = models.UUIDField(null=True)
    fencing_token = models.PositiveBigIntegerField(default=0)
    settled_token = models.PositiveBigIntegerField(
        default=0, help_text="the token of the last outcome that was accepted"
    )
    settled_claim_id = models.UUIDField(null=True, help_text="the id of the claim whose outcome that was")
    lease_expires_at = models.DateTimeField(null=True)
    when_lost = models.CharField(
        max_length=8, choices=[(choice, choice) for choice in WhenLost], default=WhenLost.REASSIGN
    )
    held_until = models.DateTimeField(
        null=True, help_text="until when it is kept for its worker although its lease has ended; null: it is not"
    )
    begun = models.BooleanField(default=False, help_text="whether the present attempt is known to have started")
    lock = KeyField(max_length=MAX_LOCK_NAME, null=True, help_text="the lock without which it must not run")
    lock_fencing_number = models.PositiveBigIntegerField(
        default=0, help_text="of the lock that its present attempt took last; 0: it has taken none"
    )
    limit_key = KeyField(max_length=MAX_NAME, null=True, help_text="what the limits of its handler count it under")
    capped = models.BooleanField(default=False, help_text="whether tasks may wait for the end of its present attempt")
    has_dependants = models.BooleanField(default=False, help_text="whether other tasks were ever made to wait for it")
    request_id = models.CharField(max_length=64, null=True, help_text="the id of the request that made it")
    traceparent = models.CharField(
        max_length=55, null=True, help_text="the span that made it, as W3C Trace Context writes it"
    )

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    scheduled_at = models.DateTimeField(null=True, help_text="not before this moment")
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "idempotency_key"], name="task_key_of_team")]
        indexes = [
            # What stands behind the id in an index is there so that a list looks at no row that it does not show.
            models.Index(fields=["team", "status", "id", "queue", "name"], name="task_of_team"),
            models.Index(fields=["queue", "status", "rank", "id", "name", "team"], name="task_line"),
            models.Index(fields=["status", "updated_at", "id", "team"], name="task_changed"),
            models.Index(fields=["status", "lease_expires_at"], name="task_lease_end"),
            # Only what waits has a hold, so this index stays as it is while a task is claimed and completed.
            models.Index(fields=["hold", "queue", "scheduled_at"], name="task_due_in_queue"),
        ]

    def __str__(self) -> str:
        return str(self.title)


class TaskAttempt(models.Model):
    """How an attempt ended that did not complete, or a late report that was refused."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="+")
    attempt = models.PositiveIntegerField()
    fencing_token = models.PositiveBigIntegerField()
    claim_id = models.UUIDField(null=True, help_text="the id of its claim; versions before 0.2.0 did not keep it")
    worker_id = models.UUIDField(null=True)
    ending = models.CharField(max_length=16)
    error = models.TextField(default="")
    ended_at = models.DateTimeField()


class TaskLog(models.Model):
    """A line that a handler wrote, or that the engine noted, about one task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="+")
    fencing_token = models.PositiveBigIntegerField()
    sequence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    level = models.CharField(max_length=8)
    message = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "fencing_token", "sequence"], name="log_line_once"),
        ]


class MetricSum(models.Model):
    """A part of a counter or of a histogram's bucket; the parts of all shards add up to its value.

    Shards keep writers out of each other's way: a row that everybody adds to would make them wait in line.
    """

    metric = KeyField(max_length=64)
    label = KeyField(max_length=64)
    shard = models.PositiveSmallIntegerField()
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["metric", "label", "shard"], name="metric_part")]


class NamedLock(models.Model):
    """A right that at most one attempt has at a time. It is held for as long as the holder's task is leased to it.

    Held: `holder_id` and `holder_token` name an attempt that is PROCESSING, or whose cancellation its worker has not
    acknowledged; then nobody renews the lease any more, and `ends_at` says when it ends. Whatever ends the lease frees the
    lock in the same transaction.
    """

    name = KeyField(max_length=MAX_LOCK_NAME, primary_key=True)
    holder_id = models.UUIDField(null=True, db_index=True, help_text="the task of the attempt that holds it")
    holder_token = models.PositiveBigIntegerField(default=0, help_text="that attempt's fencing token")
    fencing_number = models.PositiveBigIntegerField(help_text="grows whenever the lock is taken")
    ends_at = models.DateTimeField(null=True, db_index=True)
    touched_at = models.DateTimeField(help_text="when it was last taken or freed; a free one is forgotten after a day")


class LockWaiter(models.Model):
    """A PENDING task that waits for a lock, in its place in line."""

    task_id = models.UUIDField(primary_key=True)
    name = KeyField(max_length=MAX_LOCK_NAME)
    rank = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["name", "rank", "task_id"], name="lock_line")]


class HandlerLimits(models.Model):
    """What an operator has said about the limits of a handler; where it is null the handler's declaration holds."""

    name = KeyField(max_length=100, primary_key=True)
    rate_limit = models.CharField(max_length=MAX_RATE_TEXT, null=True, help_text='such as "100/m", or "none"')
    burst = models.PositiveIntegerField(null=True, help_text="how many may start at once")
    concurrency_limit = models.PositiveIntegerField(null=True, help_text="how many run at a time; 0 is no limit")

    class Meta:
        verbose_name_plural = "handler limits"

    def __str__(self) -> str:
        return str(self.name)


class LimitState(models.Model):
    """A limit that tasks have met. Who counts or frees places under a cap has locked its row and keeps it until the commit."""

    limit = KeyField(max_length=MAX_LIMIT_NAME, primary_key=True)
    full_at_us = models.BigIntegerField(
        default=0, help_text="of a rate, while Redis is away: when its bucket is full, in microseconds since 1970"
    )
    made_at = models.DateTimeField(
        db_index=True, help_text="a day after that it is forgotten, and made anew if need be"
    )


class LimitWaiter(models.Model):
    """A PENDING task that waits for a limit, in its place in line; each queue has a line of its own."""

    task_id = models.UUIDField(primary_key=True)
    limit = KeyField(max_length=MAX_LIMIT_NAME)
    queue = KeyField(max_length=64)
    rank = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["limit", "queue", "rank", "task_id"], name="limit_line")]


class Dependency(models.Model):
    """A task, the child, waits for another one, its parent, to complete. Kept for as long as the child is."""

    child_id = models.UUIDField()
    parent_id = models.UUIDField()
    key = KeyField(max_length=100, null=True, help_text="by which the child finds its result; null: by its id")
    on_failure = models.CharField(max_length=6, choices=[(choice, choice) for choice in OnFailure])
    satisfied = models.BooleanField(default=False, help_text="whether the child waits for that parent no more")

    class Meta:
        verbose_name_plural = "dependencies"
        constraints = [models.UniqueConstraint(fields=["child_id", "parent_id"], name="dependency_once")]
        indexes = [
            models.Index(fields=["parent_id", "satisfied", "child_id"], name="dependants"),
            models.Index(fields=["child_id", "satisfied"], name="dependencies"),
        ]


class UnfollowedEnd(models.Model):
    """A task that has ended, and of whose end more may follow than was drawn in its transaction; gone when all was."""

    task_id = models.UUIDField()


class BulkRequest(models.Model):
    """A request to cancel or retry all tasks that meet a filter, on its way through them by their ids; gone when it is done."""

    id = models.UUIDField(primary_key=True)
    verb = models.CharField(max_length=8)
    filter = models.JSONField()
    requested_at = models.DateTimeField(help_text="only tasks that were in a state to match then are concerned")
    last_id = models.UUIDField(null=True, help_text="the last task that was looked at")
    done = models.PositiveIntegerField(default=0)
    rate = models.CharField(
        max_length=MAX_RATE_TEXT, null=True, help_text="how fast it may go; null: as fast as can be"
    )
    full_at_us = models.BigIntegerField(
        default=0, help_text="when the bucket of its rate is full, in microseconds since 1970"
    )
