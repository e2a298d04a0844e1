"""What webhooks tell of, and what an address for them may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import StrEnum
from ipaddress import ip_address

import httpx

from dtq_site.foundation.errors import BadInput
from tasks.domain.states import Hold, TaskStatus
from tasks.http_guard import is_public

HANDLER = "deliver-webhook"
"""Whose tasks deliver, and are themselves told of to nobody."""

KEY_PREFIX = "webhook:"
MAX_URL, MAX_DESCRIPTION, MAX_REASON, MAX_EVENT = 2000, 200, 500, 24


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


def check_url(url: str, *, allow_http: bool, allow_private: bool) -> str:
    """The address, if messages may go there as far as it tells by itself; what its name stands for is seen when they do.

    Raises BadInput.
    """
    if len(url) > MAX_URL:
        raise BadInput(f"It has {len(url):,} characters; at most {MAX_URL:,} are allowed.", field="url")
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise BadInput(f"This is no address: {error}.", field="url") from None
    is_port = parsed.port is None or 0 < parsed.port < 65536  # the system would take it modulo 65,536
    if parsed.scheme not in ("https", "http") or not parsed.host or not is_port:
        raise BadInput("Write an address such as https://example.com/hooks.", field="url")
    if parsed.scheme == "http" and not allow_http:
        raise BadInput("It must begin with https://, for what is sent is for nobody else.", field="url")
    if parsed.userinfo or parsed.fragment:
        raise BadInput("Leave out a password and what follows a '#'; the signature says who sends.", field="url")
    if not (allow_private or _may_be_public(parsed.host)):
        raise BadInput(f"{parsed.host} is not on the public internet.", field="url")
    return str(parsed)


def _may_be_public(host: str) -> bool:
    with suppress(ValueError):
        return is_public(str(ip_address(host)))
    return True  # a name


def host_of(url: str) -> str:
    """What may be shown of an address to those who may not know all of it."""
    return httpx.URL(url).host
