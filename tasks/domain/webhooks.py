"""What webhooks tell of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from dtq_site.foundation.errors import BadInput
from tasks.domain.states import Hold, TaskStatus

HANDLER = "deliver-webhook"
"""Whose tasks deliver, and are themselves told of to nobody."""

QUEUE = "webhooks"
KEY_PREFIX = "webhook:"
MAX_DESCRIPTION, MAX_REASON, MAX_EVENT = 200, 500, 24


class WebhookEvent(StrEnum):
    """What a message tells."""

    TASK_COMPLETED = "task.completed"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    TASK_DEAD_LETTERED = "task.dead_lettered"
    TASK_RETRIED = "task.retried"
    TEST = "webhook.test"


_OF_STATUS: Mapping[str, WebhookEvent] = {
    TaskStatus.COMPLETED: WebhookEvent.TASK_COMPLETED,
    TaskStatus.FAILED: WebhookEvent.TASK_FAILED,
    TaskStatus.CANCELLED: WebhookEvent.TASK_CANCELLED,
    TaskStatus.DEAD_LETTER: WebhookEvent.TASK_DEAD_LETTERED,
}
STATUS_OF: Mapping[str, TaskStatus] = {
    **{event: TaskStatus(status) for status, event in _OF_STATUS.items()},
    WebhookEvent.TASK_RETRIED: TaskStatus.PENDING,
}
"""In which state a task is of which an event tells."""


def event_of(status: str, hold: str) -> WebhookEvent | None:
    """What is told of a task that has come into that state; None if it is nothing."""
    if status == TaskStatus.PENDING:
        return WebhookEvent.TASK_RETRIED if hold == Hold.BACKOFF else None
    return _OF_STATUS.get(status)


def check_events(events: Collection[str]) -> list[str]:
    """The events of a subscription, each once, in one order. Raises BadInput."""
    if not events:
        raise BadInput("Name one event at least.", field="events")
    unknown = sorted(set(events) - STATUS_OF.keys())
    if unknown:
        raise BadInput(f"{unknown[0]!r} cannot be subscribed to.", field="events")
    return sorted(set(events))
