"""The verb by which tasks come into being.

It is as lean as it can be: creation outside of a transaction, in queues that exist, costs the database one round trip, the
sums of metrics included, and Redis another one, from which it learns whether anybody listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from dtq_site.foundation import causes, tracing
from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import ids, repeats_lock_conflicts
from dtq_site.foundation.statements import write_together
from tasks import events, metrics, queues
from tasks.domain import spans
from tasks.domain.priority import rank
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.submission import NewTask
from tasks.events import Change
from tasks.lifecycle import dependencies, transitions
from tasks.lifecycle.effects import add_after_commit
from tasks.lifecycle.insertion import Row, inserts, task_of
from tasks.models import Task
from tasks.webhooks import outbox


def create(new_tasks: Sequence[NewTask], now: datetime, task_ids: Sequence[UUID] | None = None) -> list[Task]:
    """Insert tasks, QUEUED or PENDING as their due time, hold and parents say. Raises IntegrityError on a used idempotency key.

    All or none, in one transaction, repeated as by `repeats_lock_conflicts`. `task_ids` lets a caller that may have to
    repeat the insert choose the ids beforehand.
    """
    if not new_tasks:
        return []
    chosen = task_ids or ids.new(len(new_tasks))
    with tracing.span(lambda: spans.sending(new_tasks, chosen)):
        return _create(new_tasks, chosen, now)


def _create(new_tasks: Sequence[NewTask], chosen: Sequence[UUID], now: datetime) -> list[Task]:
    levels = {name: queues.level_ms(name) for name in {new.spec.queue for new in new_tasks}}
    origin = _origin()
    rows = [_new_row(new, id_, levels[new.spec.queue], origin, now) for new, id_ in zip(new_tasks, chosen, strict=True)]
    if any(new.parents for new in new_tasks):
        tasks = _insert_tied(new_tasks, rows, now)
    elif queues.are_known(levels) and not connection.in_atomic_block:
        tasks = [task_of(row) for row in rows]
        write_together([*inserts(rows), metrics.addition(metrics.created(tasks))])
    else:
        tasks = _insert(rows, now)
    add_after_commit(tasks)
    transitions.created(tasks)
    events.publish_after_commit(Change.CREATED, chosen)
    return tasks


def _origin() -> Row:
    """The columns that say what asks for tasks at present, as far as it is known."""
    known = {"request_id": causes.request_id(), "traceparent": tracing.traceparent()}
    return {column: value for column, value in known.items() if value is not None}


@repeats_lock_conflicts
def _insert(rows: Sequence[Row], now: datetime) -> list[Task]:
    _ensure_queues(rows, now)
    for statement in inserts(rows):
        statement.run()
    tasks = [task_of(row) for row in rows]
    metrics.record(metrics.created(tasks))
    return tasks


@repeats_lock_conflicts
def _insert_tied(new_tasks: Sequence[NewTask], rows: Sequence[Row], now: datetime) -> list[Task]:
    """Insert tasks of which some depend on others: on some that are there, whose rows come first, or on each other."""
    _ensure_queues(rows, now)
    parents = dependencies.lock_parents(new_tasks, {row["id"] for row in rows})
    needed = {parent.task_id for new in new_tasks for parent in new.parents}
    marked = [row | {"has_dependants": row["id"] in needed} for row in rows]
    for statement in inserts(marked):
        statement.run()
    tasks = [task_of(row) for row in marked]
    dependencies.tie(new_tasks, tasks, parents, now)
    metrics.record(metrics.created(tasks))
    outbox.record(tasks)  # one whose parent has ended badly is cancelled already
    return tasks


def _ensure_queues(rows: Sequence[Row], now: datetime) -> None:
    askers = {row["queue"]: queues.Asker(row["team_id"], row["user_id"]) for row in rows}
    queues.ensure(askers.keys(), now, askers)


def _new_row(new: NewTask, id_: UUID, level_ms: int, origin: Row, now: datetime) -> Row:
    spec = new.spec
    hold = Hold.DEPENDENCY if new.parents else new.hold
    waits = hold is not Hold.NONE or (spec.scheduled_at is not None and spec.scheduled_at > now)
    ready_ms = milliseconds(spec.scheduled_at if waits and spec.scheduled_at else now)
    return {
        "id": id_,
        "team_id": new.team_id,
        "user_id": new.user_id,
        "schedule_id": new.schedule_id,
        "idempotency_key": spec.idempotency_key,
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "payload": spec.payload,
        "queue": spec.queue,
        "priority": spec.priority,
        "max_retries": spec.max_retries,
        "timeout_seconds": spec.timeout_seconds,
        "lock": spec.lock,
        "when_lost": spec.when_lost,
        "limit_key": spec.limit_key,
        "status": TaskStatus.PENDING if waits else TaskStatus.QUEUED,
        "hold": (hold or Hold.DUE) if waits else Hold.NONE,
        "ready_ms": ready_ms,
        "rank": rank(spec.priority, ready_ms, level_ms),
        "created_at": now,
        "updated_at": now,
        "scheduled_at": spec.scheduled_at,
        "queued_at": None if waits else now,
        **origin,
    }
