"""One attempt to deliver a message to a webhook, as the task that carries it does it.

What goes wrong is in the log of deliveries with all that is known of it. The task, which more people may see, says it without the
address, of which many are secrets: it names the host, so that dead letters of one receiver stand together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import httpx
from django.conf import settings

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.ids import parse_uuid
from tasks.domain import signatures
from tasks.domain.webhooks import WebhookEvent
from tasks.handling.context import TaskContext
from tasks.handling.errors import Discard, Retry
from tasks.http_guard import AddressRefused, GuardedTransport
from tasks.http_request import beginning, client_of, excerpt, retry_after_seconds
from tasks.models import Webhook, WebhookDelivery
from tasks.webhooks import deliveries, subscriptions
from tasks.webhooks.addresses import host_of

GONE = 410


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: `error` is empty if the message was taken, and `said` what the other side added to it.

    `hopeless` is what another attempt would not mend; `retry_after_seconds` is when the other side wants it.
    """

    error: str = ""
    status_code: int | None = None
    said: str = ""
    hopeless: bool = False
    retry_after_seconds: float | None = None


def deliver(context: TaskContext, webhook_id: str, delivery_id: str) -> dict[str, int | None]:
    """Send the message, note how that went, and return with which status it was taken.

    Raises Retry for what may pass and Discard for what will not: a webhook that is off, gone or another team's, a receiver that
    wants nothing more (410, which switches it off), an address that must not be called.
    """
    webhook, delivery = _found(context, webhook_id, delivery_id)
    began = elapsed_clock()
    ending = _sent(context, webhook, delivery)
    deliveries.note(
        delivery,
        context.attempt,
        status_code=ending.status_code,
        duration_ms=round((elapsed_clock() - began) * 1000),
        error=f"{ending.error}: {ending.said}" if ending.said else ending.error,
        delivered=not ending.error,
        now=database_clock.now(),
    )
    if ending.status_code == GONE:
        subscriptions.switch_off(webhook.pk, f"{ending.error}: it wants nothing more.", database_clock.now())
    if ending.hopeless:
        raise Discard(f"{ending.error}.")
    if ending.error:
        raise Retry(ending.retry_after_seconds, f"{ending.error}.")
    return {"status": ending.status_code}


def _found(context: TaskContext, webhook_id: str, delivery_id: str) -> tuple[Webhook, WebhookDelivery]:
    asked, carried = parse_uuid(webhook_id), parse_uuid(delivery_id)
    webhook = subscriptions.of_task(asked, UUID(context.task_id)) if asked else None
    if webhook is None:
        raise Discard("There is no such webhook in the task's team; it may have been deleted.")
    delivery = deliveries.find(carried)
    if delivery is None or delivery.webhook_id != webhook.pk:
        raise Discard("There is no such delivery; it may have been kept long enough.")
    if not webhook.active and delivery.event != WebhookEvent.TEST:
        raise Discard("The webhook is switched off.")
    return webhook, delivery


def _sent(context: TaskContext, webhook: Webhook, delivery: WebhookDelivery) -> Ending:
    options, host, now = settings.DTQ_TASKS, host_of(webhook.url), database_clock.now()
    reserve = context.remaining_seconds - options.webhook_timeout.total_seconds()
    transport = GuardedTransport(
        allow_private=options.allow_private_addresses, remaining_seconds=lambda: context.remaining_seconds - reserve
    )
    try:
        with (
            client_of(transport) as client,
            client.stream(
                "POST", webhook.url, content=delivery.body.encode(), headers=_headers(webhook, delivery, now)
            ) as response,
        ):
            body, _ = beginning(response, context.checkpoint)
    except AddressRefused as error:
        return Ending(f"{host} may not be called", said=str(error), hopeless=True)
    except httpx.TransportError as error:
        return Ending(f"{host} did not answer", said=str(error))
    return _judged(response, excerpt(body), host, now)


def _headers(webhook: Webhook, delivery: WebhookDelivery, now: datetime) -> dict[str, str]:
    secrets = subscriptions.secrets_of(webhook, now)
    signed = signatures.headers(secrets, str(delivery.pk), int(now.timestamp()), delivery.body.encode())
    return {"content-type": "application/json", **signed}


def _judged(response: httpx.Response, said: str, host: str, now: datetime) -> Ending:
    status = response.status_code
    if response.is_success:
        return Ending(status_code=status)
    error = f"{host} answered {status} {response.reason_phrase}".rstrip()
    if response.is_redirect:
        said = "redirects are not followed; give the webhook the address itself"
    return Ending(error, status, said, status == GONE, retry_after_seconds(response, now))
