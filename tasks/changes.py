"""What operators do to queues and tasks: each change with its entry in the audit log, both or neither."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from accounts import audit
from accounts.identity import Identity
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from tasks import bulk, lifecycle, limits, queues
from tasks.bulk import BulkVerb
from tasks.domain.rates import Rate
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter, to_json
from tasks.models import HandlerLimits, Queue, Task

_DONE = {BulkVerb.CANCEL: "tasks.cancelled", BulkVerb.RETRY: "tasks.retried"}


@repeats_lock_conflicts
def delete_task(task: Task, by: Identity) -> None:
    """Remove a task that has ended; raises as `lifecycle.delete` does."""
    lifecycle.delete(task.pk, database_clock.now())
    _record(by, "deleted", task)


@repeats_lock_conflicts
def cancel_task(task: Task, by: Identity, now: datetime) -> Task:
    """Call it off; raises as `lifecycle.cancel` does. To cancel again what is cancelled is no change, and leaves no entry."""
    cancelled = lifecycle.cancel(task.pk, now)
    if task.status != TaskStatus.CANCELLED:
        _record(by, "cancelled", task)
    return cancelled


@repeats_lock_conflicts
def retry_task(task: Task, by: Identity, now: datetime) -> Task:
    """Run it again; raises as `lifecycle.retry` does."""
    retried = lifecycle.retry(task.pk, now)
    _record(by, "retried", task)
    return retried


@repeats_lock_conflicts
def reassign_task(task: Task, by: Identity, now: datetime) -> Task:
    """Keep it no longer for its worker; raises as `lifecycle.reassign` does."""
    reassigned = lifecycle.reassign(task.pk, now)
    _record(by, "reassigned", task)
    return reassigned


def _record(by: Identity, done: str, task: Task) -> None:
    audit.record(by, f"task.{done}", f"task:{task.pk}", {"name": task.name})


@repeats_lock_conflicts
def request_bulk(
    verb: BulkVerb, wanted: TaskFilter, by: Identity, now: datetime, pace: Rate | None = None
) -> bulk.Answer:
    """Do it to all tasks that are wanted; see `bulk.request`. Whose tasks they may be is the caller's to say."""
    answer = bulk.request(verb, wanted, now, pace)
    facts = {"filter": to_json(wanted), "count": answer.count} | ({"rate": str(pace)} if pace else {})
    audit.record(by, _DONE[verb], "tasks", facts)
    return answer


@repeats_lock_conflicts
def stop_bulk(request_id: UUID, by: Identity) -> None:
    """Do no more of a request that is kept; nothing if it has been finished."""
    kept = bulk.stop(request_id)
    if kept is not None:
        audit.record(by, "tasks.stopped", "tasks", {"verb": kept.verb, "filter": kept.filter, "done": kept.done})


@repeats_lock_conflicts
def pause_queue(name: str, by: Identity) -> Queue:
    """Hold back its tasks. Raises NotFound."""
    queue = queues.pause(name)
    audit.record(by, "queue.paused", f"queue:{name}")
    return queue


@repeats_lock_conflicts
def resume_queue(name: str, by: Identity) -> Queue:
    """Hand out its tasks again. Raises NotFound."""
    queue = queues.resume(name)
    audit.record(by, "queue.resumed", f"queue:{name}")
    return queue


@repeats_lock_conflicts
def configure_queue(name: str, asked: Mapping[str, str | int | None], by: Identity) -> Queue:
    """Serve it otherwise; raises as `queues.configure` does."""
    queue = queues.configure(name, asked)
    audit.record(by, "queue.changed", f"queue:{name}", asked)
    return queue


@repeats_lock_conflicts
def configure_handler_limits(name: str, asked: Mapping[str, str | int | None], by: Identity) -> HandlerLimits:
    """Limit its tasks otherwise; raises as `limits.configure_handler` does."""
    said = limits.configure_handler(name, asked)
    audit.record(by, "handler.limited", f"handler:{name}", asked)
    return said
