"""The verb by which tasks come into being."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from dtq_site.foundation import strict_json
from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import STATEMENT_BYTES, ids, repeats_lock_conflicts
from tasks import metrics, queues
from tasks.domain.priority import rank
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.submission import NewTask
from tasks.lifecycle.effects import follow
from tasks.models import Task


@repeats_lock_conflicts
def create(new_tasks: Sequence[NewTask], now: datetime, task_ids: Sequence[UUID] | None = None) -> list[Task]:
    """Insert tasks, QUEUED or PENDING as their due time and hold say. Raises IntegrityError on a used idempotency key.

    `task_ids` lets a caller that may have to repeat the insert choose the ids beforehand.
    """
    levels = queues.ensure({new.spec.queue for new in new_tasks}, now)
    chosen = task_ids or ids.new(len(new_tasks))
    tasks = [_new_row(new, id_, levels[new.spec.queue], now) for new, id_ in zip(new_tasks, chosen, strict=True)]
    for batch in by_weight([(task, _weight(task)) for task in tasks], STATEMENT_BYTES):
        Task.objects.bulk_create(batch, batch_size=500)
    follow(tasks, metrics.created(tasks))
    return tasks


def _new_row(new: NewTask, id_: UUID, level_ms: int, now: datetime) -> Task:
    spec = new.spec
    waits = new.hold is not Hold.NONE or (spec.scheduled_at is not None and spec.scheduled_at > now)
    ready_ms = milliseconds(spec.scheduled_at if waits and spec.scheduled_at else now)
    return Task(
        id=id_,
        team_id=new.team_id,
        user_id=new.user_id,
        schedule_id=new.schedule_id,
        idempotency_key=spec.idempotency_key,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        payload=spec.payload,
        queue=spec.queue,
        priority=spec.priority,
        max_retries=spec.max_retries,
        timeout_seconds=spec.timeout_seconds,
        lock=spec.lock,
        status=TaskStatus.PENDING if waits else TaskStatus.QUEUED,
        hold=(new.hold or Hold.DUE) if waits else Hold.NONE,
        ready_ms=ready_ms,
        rank=rank(spec.priority, ready_ms, level_ms),
        created_at=now,
        updated_at=now,
        scheduled_at=spec.scheduled_at,
        queued_at=None if waits else now,
    )


def _weight(task: Task) -> int:
    return len(strict_json.canonical(task.payload)) + len(task.description.encode())
