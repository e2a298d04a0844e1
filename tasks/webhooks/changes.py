"""What people do to webhooks: each change with its entry in the audit log, both or neither, and no secret or address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from accounts import audit
from accounts.identity import Identity
from dtq_site.foundation.database import repeats_lock_conflicts
from tasks.models import Task, Webhook
from tasks.webhooks import deliveries, subscriptions
from tasks.webhooks.addresses import host_of
from tasks.webhooks.subscriptions import Issued


@repeats_lock_conflicts
def create(asked: Mapping[str, Any], team_id: UUID, by: Identity, now: datetime) -> Issued:
    """Subscribe a team; raises as `subscriptions.create` does."""
    issued = subscriptions.create(asked, team_id, now)
    _record(by, "created", issued.webhook, events=issued.webhook.events)
    return issued


@repeats_lock_conflicts
def update(webhook: Webhook, asked: Mapping[str, Any], by: Identity, now: datetime) -> Webhook:
    """Change what is asked for; raises as `subscriptions.update` does."""
    changed = subscriptions.update(webhook.pk, asked, now)
    _record(by, "changed", changed, fields=sorted(asked))
    return changed


@repeats_lock_conflicts
def rotate(webhook: Webhook, overlap: timedelta, by: Identity, now: datetime) -> Issued:
    """Give it a new secret; raises as `subscriptions.rotate` does."""
    issued = subscriptions.rotate(webhook.pk, overlap, now)
    _record(by, "rotated", webhook)
    return issued


@repeats_lock_conflicts
def delete(webhook: Webhook, by: Identity) -> None:
    """End the subscription."""
    subscriptions.delete(webhook.pk)
    _record(by, "deleted", webhook)


@repeats_lock_conflicts
def test(webhook: Webhook, by: Identity, now: datetime) -> Task:
    """Send it a message at once, also while it is off; returns the task that carries it."""
    task = deliveries.make_test(webhook, now)
    _record(by, "tested", webhook, task=task.pk)
    return task


@repeats_lock_conflicts
def redeliver(delivery_id: UUID, webhook: Webhook, by: Identity, now: datetime) -> Task:
    """Send a message again; raises as `deliveries.redeliver` does."""
    task = deliveries.redeliver(delivery_id, webhook, now)
    _record(by, "redelivered", webhook, delivery=delivery_id, task=task.pk)
    return task


def _record(by: Identity, done: str, webhook: Webhook, **facts: UUID | Iterable[str]) -> None:
    named = {"name": webhook.description or host_of(webhook.url), "host": host_of(webhook.url)}
    audit.record(by, f"webhook.{done}", f"webhook:{webhook.pk}", {**named, **facts})
