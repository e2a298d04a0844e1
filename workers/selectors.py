"""Reads about workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Min, Q, QuerySet

from accounts.identity import Identity
from tasks.domain.states import TaskStatus
from tasks.models import Task
from workers.domain.liveness import WorkerStatus
from workers.models import Worker


def workers(identity: Identity) -> list[Worker]:
    """The workers that the account may see, by name: those that serve its team or all teams; an admin sees all."""
    return list(_visible_to(identity).order_by("name", "id"))


def worker(worker_id: UUID, identity: Identity) -> Worker | None:
    """One worker, if the account may see it."""
    return _visible_to(identity).filter(pk=worker_id).first()


def _visible_to(identity: Identity) -> QuerySet[Worker]:
    if identity.is_admin:
        return Worker.objects.all()
    return Worker.objects.filter(Q(team=None) | Q(team_id=identity.team_id))


def registered_by(identity: Identity) -> list[UUID]:
    """The ids of the workers that the account has registered by the API."""
    return list(Worker.objects.filter(account_id=identity.user_id).values_list("pk", flat=True))


def last_words() -> list[tuple[UUID, str, datetime]]:
    """What each worker last said of itself, and when."""
    return list(Worker.objects.values_list("id", "status", "last_heartbeat"))


def by_ids(worker_ids: Iterable[UUID]) -> dict[UUID, Worker]:
    """Those of the workers that are still remembered."""
    return Worker.objects.in_bulk(list(worker_ids))


def online(now: datetime) -> list[Worker]:
    """The workers that are online."""
    heard = Worker.objects.filter(last_heartbeat__gte=now - settings.DTQ_WORKERS.offline_after)
    return list(heard.exclude(status=WorkerStatus.STOPPED))


def silent(now: datetime) -> list[Worker]:
    """The workers that have not signed off and were not heard of lately."""
    unheard = Worker.objects.filter(last_heartbeat__lt=now - settings.DTQ_WORKERS.offline_after)
    return list(unheard.exclude(status=WorkerStatus.STOPPED))


class Standing(NamedTuple):
    """A worker that has not signed off: what it can do, and whether it was heard of lately."""

    id: UUID
    status: str
    queues: list[str]
    concurrency: int
    is_online: bool


def standing(now: datetime) -> list[Standing]:
    """The workers that have not signed off, without the handlers that they know, which are much to read."""
    lately = now - settings.DTQ_WORKERS.offline_after
    rows = Worker.objects.exclude(status=WorkerStatus.STOPPED)
    facts = rows.values_list("id", "status", "queues", "concurrency", "last_heartbeat")
    return [Standing(*fact, is_online=heard >= lately) for *fact, heard in facts]


def latest_heard(limit: int = 100) -> list[Worker]:
    """The workers that are remembered, online or not, the one that was heard of last first."""
    return list(Worker.objects.order_by("-last_heartbeat")[:limit])


def online_handlers(now: datetime) -> list[tuple[UUID | None, frozenset[str]]]:
    """For each worker that is online, the team that it serves (None: all) and the names that it knows."""
    return [(worker.team_id, frozenset(worker.handlers)) for worker in online(now)]


def active_task_counts(worker_ids: Iterable[UUID]) -> Counter[UUID]:
    """How many tasks each of the workers runs."""
    owners = Task.objects.filter(status=TaskStatus.PROCESSING, lease_owner__in=list(worker_ids))
    return Counter(owners.values_list("lease_owner", flat=True))


def lease_ends(worker_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When the first lease of each of the workers ends, of those that hold any."""
    owners = Task.objects.filter(status=TaskStatus.PROCESSING, lease_owner__in=list(worker_ids))
    return dict(owners.values_list("lease_owner").annotate(Min("lease_expires_at")))


def known() -> int:
    """How many workers there are, online or not; those that signed off are gone."""
    return Worker.objects.exclude(status=WorkerStatus.STOPPED).count()
