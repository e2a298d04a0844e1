"""The only writer of workers: sign-on, heartbeats, sign-off."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from workers.domain.card import WorkerCard
from workers.domain.liveness import WorkerStatus
from workers.models import Worker


def sign_on(card: WorkerCard, now: datetime) -> None:
    """Make a worker known; again under the same id replaces what it said before."""
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
        "status": WorkerStatus.RUNNING,
        "last_heartbeat": now,
    }
    Worker.objects.update_or_create(id=card.id, defaults=said, create_defaults={**said, "started_at": now})


def beat(worker_id: UUID, status: WorkerStatus, now: datetime) -> bool:
    """Note that a worker lives; False if its row is gone, so that it must sign on again."""
    return bool(Worker.objects.filter(id=worker_id).update(status=status, last_heartbeat=now))


def sign_off(worker_id: UUID, now: datetime) -> None:
    """Note that a worker has ended as it should."""
    Worker.objects.filter(id=worker_id).update(status=WorkerStatus.STOPPED, last_heartbeat=now)


def forget_silent(before: datetime) -> int:
    """Remove workers that were last heard of before a moment; returns how many."""
    return Worker.objects.filter(last_heartbeat__lt=before).delete()[0]
