"""What spans say of tasks, by OpenTelemetry's conventions for messaging: a queue is a destination, a task a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dtq_site.foundation.tracing import Description, Kind
from tasks.domain.lease import LeasedTask
from tasks.domain.submission import NewTask

SYSTEM = "dtq"


def sending(new_tasks: Sequence[NewTask], task_ids: Sequence[UUID]) -> Description:
    """The creation of tasks by one call, in one queue or in several."""
    queues = {new.spec.queue for new in new_tasks}
    names = {new.spec.name for new in new_tasks}
    queue = next(iter(queues)) if len(queues) == 1 else None
    attributes = _attributes("send", queue)
    if len(names) == 1:
        attributes["dtq.task.name"] = next(iter(names))
    if len(new_tasks) == 1:
        attributes["messaging.message.id"] = str(task_ids[0])
    else:
        attributes["messaging.batch.message_count"] = len(new_tasks)
    return Description(f"send {queue}" if queue else "send", Kind.PRODUCER, attributes)


def processing(task: LeasedTask) -> Description:
    """One attempt of a task, as a part of what made it."""
    attributes = {
        **_attributes("process", task.queue or None),
        "messaging.message.id": str(task.lease.task_id),
        "dtq.task.name": task.name,
        "dtq.task.attempt": task.attempt,
    }
    return Description(f"process {task.queue}".rstrip(), Kind.CONSUMER, attributes, parent=task.traceparent)


def _attributes(operation: str, queue: str | None) -> dict[str, Any]:
    attributes = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    return attributes if queue is None else {**attributes, "messaging.destination.name": queue}
