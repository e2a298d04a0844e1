"""What is delivered to webhooks, and how that went: the only writer of deliveries and their attempts.

A delivery is a message for one webhook; a task of the webhook's team carries it. The task's payload has ids and nothing more: who
may see the task sees neither address nor secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from dtq_site.foundation import strict_json
from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.database import STATEMENT_BYTES, ids, repeats_lock_conflicts
from dtq_site.foundation.errors import Conflict, NotFound
from dtq_site.foundation.scalars import DateTime
from tasks import lifecycle, submission
from tasks.domain.states import MOVES, TERMINAL
from tasks.domain.submission import NewTask, Request
from tasks.domain.webhooks import HANDLER, KEY_PREFIX, STATUS_OF, WebhookEvent
from tasks.models import Task, TaskEvent, Webhook, WebhookAttempt, WebhookDelivery
from tasks.webhooks import outbox, subscriptions
from tasks.webhooks.addresses import host_of

EVENTS_AT_ONCE = 500
DELIVERIES_AT_ONCE = 2000
LONGEST_ERROR = 1000


@dataclass(frozen=True)
class Dispatched:
    """How many events were dealt with, how many deliveries they made, and whether there may be more."""

    events: int
    deliveries: int
    more: bool


@repeats_lock_conflicts
def dispatch(now: datetime) -> Dispatched:
    """Make deliveries, and the tasks that carry them, of the oldest events: EVENTS_AT_ONCE at most, and DELIVERIES_AT_ONCE unless
    the first event alone makes more. Those that nobody wants (any more) are dropped. All or nothing: an event is there, or its
    deliveries are.
    """
    oldest = outbox.locked(EVENTS_AT_ONCE)
    active = subscriptions.active_of({event.team_id for event in oldest}) if oldest else []
    wanting = {
        event.pk: [webhook for webhook in active if webhook.team_id == event.team_id and event.event in webhook.events]
        for event in oldest
    }
    events = next(by_weight(((event, len(wanting[event.pk])) for event in oldest), DELIVERIES_AT_ONCE), [])
    pairs = [(webhook, event) for event in events for webhook in wanting[event.pk]]
    _make(
        [_of_event(webhook, event, now) for webhook, event in pairs],
        [f"{KEY_PREFIX}{webhook.pk.hex}:{event.pk}" for webhook, event in pairs],
        {webhook.pk: webhook for webhook in active},
        now,
    )
    outbox.remove(events)
    return Dispatched(len(events), len(pairs), more=len(oldest) == EVENTS_AT_ONCE or len(events) < len(oldest))


@repeats_lock_conflicts
def make_test(webhook: Webhook, now: datetime) -> Task:
    """A message that says nothing but that it is a test; returns the task that carries it."""
    data = {"webhook": {"id": str(webhook.pk), "description": webhook.description}}
    delivery = _new(webhook, WebhookEvent.TEST, None, now, data, now)
    return _make([delivery], [None], {webhook.pk: webhook}, now)[0]


@repeats_lock_conflicts
def redeliver(delivery_id: UUID, webhook: Webhook, now: datetime) -> Task:
    """Send a message again, whether it arrived or not, under the same id; returns the task that carries it.

    Raises NotFound, or Conflict while a task is about to.
    """
    delivery = WebhookDelivery.objects.select_for_update().filter(pk=delivery_id, webhook_id=webhook.pk).first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    carrier = Task.objects.filter(pk=delivery.carrier_id).first()
    if carrier is not None and carrier.status not in TERMINAL:
        raise Conflict("It is on its way; cancel or await the task that carries it.", task=str(carrier.pk))
    if carrier is not None and carrier.status in MOVES["retry"].sources:
        return lifecycle.retry(carrier.pk, now)
    task = lifecycle.create([_carrier(delivery, webhook, None, now)], now)[0]
    WebhookDelivery.objects.filter(pk=delivery.pk).update(carrier_id=task.pk)
    return task


def _of_event(webhook: Webhook, event: TaskEvent, now: datetime) -> WebhookDelivery:
    task = {
        "id": str(event.task_id),
        "name": event.name,
        "queue": event.queue,
        "status": STATUS_OF[event.event],
        "attempts": event.attempts,
        "error": event.error[:LONGEST_ERROR] or None,
    }
    return _new(webhook, event.event, event.task_id, event.at, {"task": task}, now)


def _new(
    webhook: Webhook, event: str, task_id: UUID | None, at: datetime, data: Mapping[str, Any], now: datetime
) -> WebhookDelivery:
    body = {"type": event, "timestamp": DateTime.serialize(at), "data": data}
    return WebhookDelivery(
        webhook_id=webhook.pk, event=event, task_id=task_id, body=strict_json.encode(body), created_at=now
    )


def _make(
    deliveries: Sequence[WebhookDelivery],
    keys: Sequence[str | None],
    webhooks: Mapping[UUID, Webhook],
    now: datetime,
) -> list[Task]:
    if not deliveries:
        return []
    made = ids.new(2 * len(deliveries))
    for delivery, id_, carrier_id in zip(deliveries, made[::2], made[1::2], strict=True):
        delivery.id, delivery.carrier_id = id_, carrier_id
    carriers = [
        _carrier(delivery, webhooks[delivery.webhook_id], key, now)
        for delivery, key in zip(deliveries, keys, strict=True)
    ]
    for part in by_weight(((delivery, len(delivery.body.encode())) for delivery in deliveries), STATEMENT_BYTES):
        WebhookDelivery.objects.bulk_create(part)
    return lifecycle.create(carriers, now, made[1::2])


def _carrier(delivery: WebhookDelivery, webhook: Webhook, key: str | None, now: datetime) -> NewTask:
    request = Request(
        name=HANDLER,
        title=f"{delivery.event} to {host_of(webhook.url)}"[:200],
        payload={"webhook": str(webhook.pk), "delivery": str(delivery.pk)},
        max_retries=settings.DTQ_TASKS.webhook_retries,
    )
    spec = replace(submission.check(request, now, webhook.team_id), idempotency_key=key)
    return NewTask(spec, webhook.team_id, None)


# --- how it went ---------------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def note(
    delivery: WebhookDelivery,
    attempt: int,
    *,
    status_code: int | None,
    duration_ms: int,
    error: str,
    delivered: bool,
    now: datetime,
) -> None:
    """Keep how an attempt went."""
    WebhookAttempt.objects.create(
        delivery_id=delivery.pk,
        attempt=attempt,
        at=now,
        status_code=status_code,
        duration_ms=duration_ms,
        error=error[:LONGEST_ERROR],
    )
    if delivered:
        WebhookDelivery.objects.filter(pk=delivery.pk).update(delivered_at=now)


def of_webhook(webhook_id: UUID, limit: int, offset: int) -> list[WebhookDelivery]:
    """A page of what was to be delivered to a webhook, the newest first, each with its attempts."""
    rows = WebhookDelivery.objects.filter(webhook_id=webhook_id).order_by("-id")
    return list(rows.prefetch_related("tries")[offset : offset + limit])


def find(delivery_id: UUID | None) -> WebhookDelivery | None:
    """One delivery."""
    return WebhookDelivery.objects.filter(pk=delivery_id).first()


@repeats_lock_conflicts
def forget_old(before: datetime, limit: int) -> int:
    """Remove the oldest deliveries with their attempts, a chunk of those that were made before a moment; returns how many."""
    oldest = WebhookDelivery.objects.order_by("pk").values_list("pk", "created_at")[:limit]
    old = [key for key, created_at in oldest if created_at < before]
    WebhookAttempt.objects.filter(delivery_id__in=old).delete()
    rows = WebhookDelivery.objects.filter(pk__in=old)
    return rows._raw_delete(rows.db) or 0
