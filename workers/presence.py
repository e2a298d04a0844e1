"""The only writer of workers: sign-on, heartbeats, sign-off."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from dtq_site.foundation.errors import Conflict, NotFound
from tasks.domain.states import TaskStatus
from tasks.models import Task
from workers.domain.card import WorkerCard
from workers.domain.liveness import WorkerStatus
from workers.models import Worker

MOST_OF_AN_ACCOUNT = 10_000
"""How many workers that are remembered one account may have: each registration under a new id is a row."""


def sign_on(card: WorkerCard, now: datetime, *, account_id: UUID | None = None, token_id: UUID | None = None) -> None:
    """Make a worker known; again under the same id replaces what it said before.

    `account_id` is who registers it by the API, with that token if it is a worker token. An id belongs to whoever used it
    first: raises NotFound for anybody else. Raises Conflict for one more than MOST_OF_AN_ACCOUNT.
    """
    said = {
        "name": card.name,
        "hostname": card.hostname,
        "pid": card.pid,
        "team_id": card.team_id,
        "queues": list(card.queues),
        "handlers": dict(card.handlers),
        "concurrency": card.concurrency,
        "transport": card.transport,
        "version": card.version,
        "token_id": token_id,
        "status": WorkerStatus.RUNNING,
        "last_heartbeat": now,
    }
    own = Worker.objects.filter(id=card.id, account_id=account_id)
    if own.update(**said):
        return
    if account_id is not None and Worker.objects.filter(account_id=account_id).count() >= MOST_OF_AN_ACCOUNT:
        raise Conflict(
            f"This account has {MOST_OF_AN_ACCOUNT:,} workers; register more once those that are gone are forgotten."
        )
    try:
        with transaction.atomic():
            Worker.objects.create(id=card.id, account_id=account_id, started_at=now, **said)
    except IntegrityError:
        if not own.update(**said):  # else the same request has come twice at once
            raise NotFound("This id belongs to a worker that is not yours; take another one.", field="id") from None


def beat(worker_id: UUID, status: WorkerStatus, now: datetime, *, token_id: UUID | None = None) -> bool:
    """Note that a worker lives; False if its row is gone, so that it must sign on again."""
    heard = {"status": status, "last_heartbeat": now, "token_id": token_id}
    return bool(Worker.objects.filter(id=worker_id).update(**heard))


def note_claim(worker_id: UUID, lease_seconds: int | None, token_id: UUID | None) -> None:
    """Note how long a lease the worker asks for, and with which token."""
    Worker.objects.filter(id=worker_id).update(lease_seconds=lease_seconds, token_id=token_id)


def sign_off(worker_id: UUID, now: datetime) -> None:
    """Note that a worker has ended as it should."""
    Worker.objects.filter(id=worker_id).update(status=WorkerStatus.STOPPED, last_heartbeat=now)


def forget_silent(before: datetime, limit: int = 500) -> int:
    """Remove workers that were last heard of before a moment, but for those that hold tasks; returns how many."""
    holders = Task.objects.filter(status=TaskStatus.PROCESSING, lease_owner=OuterRef("pk"))
    silent = Worker.objects.filter(~Exists(holders), last_heartbeat__lt=before)
    chosen = list(silent.values_list("pk", flat=True)[:limit])
    Worker.objects.filter(pk__in=chosen, last_heartbeat__lt=before).delete()
    return len(chosen)
