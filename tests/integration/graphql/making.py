"""Accounts, tasks and workers for the tests of the API, and what it answers them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from accounts import registration
from accounts.identity import Identity
from accounts.models import Team
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks import lifecycle, submission
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.domain.retry import RetryPolicy
from tasks.domain.submission import Request
from tasks.lifecycle import Claim
from tasks.models import Task
from tasks.submission import Owner
from tests.support.api import ask
from workers import presence
from workers.domain.card import WorkerCard
from workers.models import Worker

POLICY = RetryPolicy(backoff_ms=1000, backoff_cap=timedelta(hours=1), max_lost_leases=3)


def make_identity(role: Role = Role.USER, team: str = "red", username: str | None = None) -> Identity:
    """A new account without a password in the team of that name."""
    username = username or f"{role}-{uuid4().hex[:8]}"
    user = registration.create_user(
        username=username,
        email=f"{username}@example.com",
        password=None,
        role=role,
        team=registration.team_named(team),
    )
    return Identity(user.id, user.username, Role(user.role), user.team_id)


def data(query: str, identity: Identity | None = None, **variables: Any) -> dict[str, Any]:
    """The data of an answer that must have no errors."""
    body = ask(query, identity=identity, **variables)
    assert "errors" not in body, body
    return body["data"]


def refusal(query: str, identity: Identity | None = None, **variables: Any) -> tuple[str, str | None]:
    """Code and field of an answer's only error."""
    (error,) = ask(query, identity=identity, **variables)["errors"]
    return error["extensions"]["code"], error["extensions"].get("field")


def make_task(team: str = "red", **request: Any) -> Task:
    """A task of the team, made by nobody in particular."""
    request = {"name": "send-email", **request}
    return submission.submit_one(Request(**request), Owner(registration.team_named(team).pk, None))


def make_worker(
    name: str = "w", *, handlers: tuple[str, ...] = (), team: Team | None = None, silent: timedelta | None = None
) -> Worker:
    """A worker that has signed on, lately unless it is `silent`."""
    card = WorkerCard(
        id=uuid4(),
        name=name,
        hostname="host",
        pid=1,
        queues=("mail",),
        handlers={handler: {} for handler in handlers},
        concurrency=5,
        transport="direct",
        version="1",
        team_id=team.pk if team else None,
    )
    presence.sign_on(card, database_clock.now() - (silent or timedelta(0)))
    return Worker.objects.get(pk=card.id)


def start(task: Task, worker_id: UUID | None = None) -> Task:
    """Let a worker claim the task; returns its row."""
    claim = Claim(uuid4(), worker_id or uuid4(), timedelta(minutes=1))
    (won,) = lifecycle.claim([task.pk], task.queue, [task.name], claim, database_clock.now())
    return Task.objects.get(pk=won.pk)


def finish(task: Task, kind: OutcomeKind = OutcomeKind.COMPLETED, **outcome: Any) -> Task:
    """Let a worker claim the task and end the attempt."""
    task = start(task)
    lease = Lease(task.pk, task.fencing_token, task.claim_id)
    lifecycle.settle([Outcome(lease, kind, 0.1, **outcome)], POLICY, lambda: 0.0, database_clock.now())
    return Task.objects.get(pk=task.pk)


def row(task: Task) -> dict[str, Any]:
    """The task's columns as they are now."""
    return Task.objects.filter(pk=task.pk).values().get()
