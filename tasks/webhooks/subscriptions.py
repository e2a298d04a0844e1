"""Who wants to be told of what: the only writer of webhooks. What people do to them goes through `changes.py`.

A secret is made here, returned once, and read again by who signs with it (`secrets_of`) and by nobody else.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.credentials import plain_text
from accounts.identity import Identity
from accounts.models import Team
from dtq_site.foundation.database import ids, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput, Conflict, NotFound
from tasks.domain import signatures
from tasks.domain.webhooks import MAX_DESCRIPTION, MAX_REASON, check_events
from tasks.models import Task, Webhook
from tasks.webhooks import outbox
from tasks.webhooks.addresses import check_url

LONGEST_OVERLAP = timedelta(days=30)


@dataclass(frozen=True)
class Issued:
    """A webhook with a new secret, which nobody can be shown again."""

    webhook: Webhook
    secret: str


def checked(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are asked for (`url`, `events`, `description`, `active`), as they are kept. Raises BadInput."""
    columns = dict(asked)
    if "url" in columns:
        options = settings.DTQ_TASKS
        columns["url"] = check_url(
            plain_text(columns["url"] or "", "url", longest=10_000),
            allow_http=options.webhook_allow_http or not settings.PRODUCTION,
            allow_private=options.allow_private_addresses,
        )
    if "events" in columns:
        columns["events"] = check_events(columns["events"] or ())
    if "description" in columns:
        columns["description"] = plain_text(columns["description"] or "", "description", longest=MAX_DESCRIPTION)
    if "active" in columns and columns["active"] is None:
        raise BadInput("It is either active or not.", field="active")
    return columns


@repeats_lock_conflicts
def create(asked: Mapping[str, Any], team_id: UUID, now: datetime) -> Issued:
    """Subscribe the team. Raises BadInput, or Conflict if it has as many webhooks as it may."""
    columns, most = checked(asked), settings.DTQ_TASKS.max_webhooks
    Team.objects.select_for_update().get(pk=team_id)  # one at a time, for they are counted
    if Webhook.objects.filter(team_id=team_id).count() >= most:
        raise Conflict(f"The team has {most} webhooks, which is as many as it may; delete one first.")
    (id_,) = ids.new()
    secret = _new_secret()
    webhook = Webhook(id=id_, team_id=team_id, secret=secret, created_at=now, updated_at=now, **columns)
    webhook.save(force_insert=True)
    outbox.forget_known()
    return Issued(webhook, secret)


@repeats_lock_conflicts
def update(webhook_id: UUID, asked: Mapping[str, Any], now: datetime) -> Webhook:
    """Change what is asked for. Raises NotFound or BadInput."""
    columns = checked(asked)
    if not columns:
        raise BadInput("Give at least one field to change.")
    webhook = _the(webhook_id)
    if columns.get("active"):
        columns["disabled_reason"] = ""
    return _write(webhook, now, **columns)


@repeats_lock_conflicts
def rotate(webhook_id: UUID, overlap: timedelta, now: datetime) -> Issued:
    """Give it a new secret; messages are signed by the old one too for `overlap` yet. Raises NotFound or BadInput."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadInput(f"It must be from 0 to {LONGEST_OVERLAP.days} days.", field="overlapSeconds")
    webhook, secret = _the(webhook_id), _new_secret()
    kept = {"previous_secret": webhook.secret, "previous_secret_until": now + overlap}
    if not overlap:
        kept = dict.fromkeys(kept)
    return Issued(_write(webhook, now, secret=secret, **kept), secret)


@repeats_lock_conflicts
def switch_off(webhook_id: UUID, reason: str, now: datetime) -> bool:
    """Tell it nothing more until somebody switches it on; whether it was on."""
    webhook = Webhook.objects.select_for_update().filter(pk=webhook_id, active=True).first()
    if webhook is not None:
        _write(webhook, now, active=False, disabled_reason=reason[:MAX_REASON])
    return webhook is not None


@repeats_lock_conflicts
def delete(webhook_id: UUID) -> None:
    """End the subscription; what waits to be delivered to it fails, and its log goes with time."""
    Webhook.objects.filter(pk=webhook_id).delete()
    outbox.forget_known()


def _the(webhook_id: UUID) -> Webhook:
    webhook = Webhook.objects.select_for_update().filter(pk=webhook_id).first()
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook


def _write(webhook: Webhook, now: datetime, **columns: Any) -> Webhook:
    for column, value in {**columns, "updated_at": now}.items():
        setattr(webhook, column, value)
    webhook.save(update_fields=[*columns, "updated_at"])
    outbox.forget_known()
    return webhook


def _new_secret() -> str:
    return signatures.as_secret(secrets.token_bytes(signatures.SECRET_BYTES))


# --- reading -------------------------------------------------------------------------------------------------------


def visible_to(identity: Identity) -> QuerySet[Webhook]:
    """The webhooks that the account may see: those of its team; an admin sees all."""
    return Webhook.objects.all() if identity.is_admin else Webhook.objects.filter(team_id=identity.team_id)


def active_of(team_ids: Collection[UUID]) -> list[Webhook]:
    """The webhooks of these teams that are on."""
    return list(Webhook.objects.filter(team_id__in=team_ids, active=True))


def of_task(webhook_id: UUID, task_id: UUID) -> Webhook | None:
    """The webhook, if it belongs to the task's team."""
    own = Q(team_id__in=Task.objects.filter(pk=task_id).values("team_id"))
    return Webhook.objects.filter(own, pk=webhook_id).first()


def secrets_of(webhook: Webhook, now: datetime) -> list[str]:
    """What a message is signed by at that moment: the secret, and the one before while it is good."""
    previous, until = webhook.previous_secret, webhook.previous_secret_until
    both = previous is not None and until is not None and now < until
    return [webhook.secret, previous] if both else [webhook.secret]
