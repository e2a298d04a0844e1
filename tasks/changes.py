"""What operators do to queues and single tasks: each change with its entry in the audit log, both or neither."""

from __future__ import annotations

from collections.abc import Mapping

from accounts import audit
from accounts.identity import Identity
from dtq_site.foundation.database import database_clock, repeats_lock_conflicts
from dtq_site.foundation.errors import Conflict
from tasks import lifecycle, limits, queues
from tasks.models import HandlerLimits, Queue, Task


@repeats_lock_conflicts
def delete_task(task: Task, by: Identity) -> None:
    """Remove a task that has ended; raises as `lifecycle.delete` does, or Conflict while an attempt of it holds places."""
    if lifecycle.holds_places(task, database_clock.now()):
        raise Conflict("Its worker has not acknowledged that it was cancelled, so it still counts for limits.")
    lifecycle.delete(task.pk)
    audit.record(by, "task.deleted", f"task:{task.pk}", {"name": task.name})


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
