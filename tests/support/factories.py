"""Tasks in every state, made by the verbs of the product. Time is passed in and starts at `START` where a test is silent."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections

from accounts import registration
from accounts.models import Team, User
from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import ids
from tasks import lifecycle, limits, queues
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict
from tasks.domain.priority import rank
from tasks.domain.retry import RetryPolicy
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.submission import NewTask, TaskSpec
from tasks.lifecycle import Claim
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint
from tasks.webhooks import outbox
from workers import announcements, open_queues

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=15)
POLICY = RetryPolicy(backoff_ms=1000, backoff_cap=timedelta(hours=1), max_lost_leases=3)
WORKER, OTHER_WORKER = UUID(int=0xA), UUID(int=0xB)
ID_OF_NOTHING = str(UUID(int=0))
"""What parameters of a test must not make up at random: each process that runs tests has to find the same ones."""


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> datetime:
        """Move on, or back with a negative number; returns the new present."""
        self.moment += timedelta(seconds=seconds)
        return self.moment


def after(seconds: float) -> datetime:
    """The moment so many seconds after START."""
    return START + timedelta(seconds=seconds)


def no_jitter() -> float:
    """The draw that lengthens nothing."""
    return 0.0


def forget_what_processes_remember() -> None:
    """Drop what this process keeps in memory of rows and of Redis; those of an earlier test are gone."""
    queues.forget_known()
    limits.forget_known()
    outbox.forget_known()
    redis_index.cache_clear()
    open_queues.forget_queues()
    announcements.forget_known()


def in_own_connection(action: Callable[[], Any]) -> Any:
    """Call `action` and close what this thread has opened to the database."""
    try:
        return action()
    finally:
        connections.close_all()


# --- who -----------------------------------------------------------------------------------------------------------


def make_team(name: str = "team") -> Team:
    """The team of that name, made when first asked for."""
    return Team.objects.filter(name=name).first() or registration.add_team(name)


def make_user(username: str = "ann", **fields: Any) -> User:
    """A user without a usable password."""
    return registration.create_user(username=username, email=f"{username}@example.com", password=None, **fields)


# --- tasks ---------------------------------------------------------------------------------------------------------


def task_spec(**fields: Any) -> TaskSpec:
    """A complete description; the fields that a test does not care about are made up."""
    name = fields.get("name", "job")
    made_up: dict[str, Any] = {
        "name": name,
        "title": name,
        "description": "",
        "payload": {},
        "queue": "default",
        "priority": 5,
        "max_retries": 3,
        "timeout_seconds": 3600.0,
    }
    return TaskSpec(**{**made_up, **fields})


def new_task(*, team: Team | None = None, hold: Hold = Hold.NONE, user: User | None = None, **fields: Any) -> NewTask:
    """A task to be created."""
    return NewTask(task_spec(**fields), (team or make_team()).pk, user.pk if user else None, hold=hold)


def create(now: datetime = START, **fields: Any) -> Task:
    """A new task: QUEUED, or PENDING if `scheduled_at` is later than `now`."""
    return lifecycle.create([new_task(**fields)], now)[0]


def waiting(now: datetime = START, **fields: Any) -> Task:
    """A PENDING task, due a minute after `now`."""
    return create(now, scheduled_at=now + timedelta(minutes=1), **fields)


def claim(
    tasks: Sequence[Task],
    now: datetime = START,
    *,
    worker: UUID = WORKER,
    lease: timedelta = LEASE,
    claim_id: UUID | None = None,
) -> list[Task]:
    """Claim tasks, whatever their names, out of the first one's queue; returns the rows of those that were won."""
    names = {task.name for task in tasks}
    wanted = Claim(claim_id or uuid.uuid4(), worker, lease)
    won = lifecycle.claim([task.pk for task in tasks], tasks[0].queue, names, wanted, now)
    rows = Task.objects.in_bulk([each.pk for each in won])
    return [rows[each.pk] for each in won]


def claimed(now: datetime = START, *, begun: bool = False, lease: timedelta = LEASE, **fields: Any) -> Task:
    """A task that WORKER runs."""
    (task,) = claim([create(now, **fields)], now, lease=lease)
    if begun:
        lifecycle.mark_begun([lease_of(task)], now)
    return reread(task)


def lease_of(task: Task) -> Lease:
    """What the present holder of the task bears."""
    assert task.claim_id is not None
    return Lease(task.pk, task.fencing_token, task.claim_id)


def completed(lease: Lease, result: Any = None) -> Outcome:
    """The report of a success."""
    return Outcome(lease, OutcomeKind.COMPLETED, run_seconds=0.5, result=result)


def failed(lease: Lease, error: str = "it broke", retry_delay_seconds: float | None = None) -> Outcome:
    """The report of a failure that may be retried."""
    return Outcome(lease, OutcomeKind.FAILED, 0.5, error=error, retry_delay_seconds=retry_delay_seconds)


def discarded(lease: Lease, error: str = "no use") -> Outcome:
    """The report of a failure that must not be retried."""
    return Outcome(lease, OutcomeKind.DISCARDED, 0.5, error=error)


def settle(*outcomes: Outcome, now: datetime = START) -> list[OutcomeVerdict]:
    """Report outcomes without jitter; the verdicts stand in their order."""
    verdicts = lifecycle.settle(outcomes, POLICY, no_jitter, now)
    return [verdicts[outcome.lease] for outcome in outcomes]


def reap(now: datetime) -> list[Task]:
    """Reap without jitter."""
    return lifecycle.reap(POLICY, no_jitter, now)


def in_state(status: TaskStatus, now: datetime = START, **fields: Any) -> Task:
    """A task that got into `status` by the shortest way."""
    match status:
        case TaskStatus.PENDING:
            return waiting(now, **fields)
        case TaskStatus.QUEUED:
            return create(now, **fields)
        case TaskStatus.PROCESSING:
            return claimed(now, **fields)
        case TaskStatus.CANCELLED:
            return lifecycle.cancel(create(now, **fields).pk, now)
        case TaskStatus.COMPLETED:
            task = claimed(now, **fields)
            settle(completed(lease_of(task), {"answer": 42}), now=now)
        case TaskStatus.FAILED:
            task = claimed(now, **fields)
            settle(discarded(lease_of(task)), now=now)
        case TaskStatus.DEAD_LETTER:
            task = claimed(now, **{**fields, "max_retries": 0})
            settle(failed(lease_of(task)), now=now)
    return reread(task)


def reread(task: Task) -> Task:
    """The row as it stands now."""
    return Task.objects.get(pk=task.pk)


def row(task: Task) -> dict[str, Any]:
    """Every column of the task as it stands now, to prove that nothing changed."""
    return Task.objects.values().get(pk=task.pk)


def hint_of(task: Task) -> Hint:
    """The task's entry in a dispatch index."""
    return Hint(task.rank, task.pk, task.queue, task.name)


def bare_row(now: datetime = START, **fields: Any) -> Task:
    """A QUEUED row that no verb has made, so that nothing follows it: no entry in Redis, no sums."""
    spec = task_spec(**fields)
    (id_,) = ids.new()
    return Task.objects.create(
        **dataclasses.asdict(spec),
        id=id_,
        team=make_team(),
        status=TaskStatus.QUEUED,
        ready_ms=milliseconds(now),
        rank=rank(spec.priority, milliseconds(now)),
        created_at=now,
        updated_at=now,
        queued_at=now,
    )
