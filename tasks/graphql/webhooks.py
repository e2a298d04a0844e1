"""Webhooks of a team: subscribing, testing, rotating, and what was delivered. Viewers see none: many an address is a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import graphene
from django.db.models import prefetch_related_objects
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import PAGE, fields_of, read_id, read_page
from accounts.graphql.types import Team
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import NotFound
from dtq_site.foundation.scalars import DateTime
from tasks import models
from tasks.domain import webhooks as domain
from tasks.graphql.related import with_related
from tasks.graphql.selection import Selection
from tasks.graphql.types import Task
from tasks.webhooks import changes, deliveries, subscriptions

USUAL_OVERLAP_SECONDS = 86_400
WEBHOOK_ID = graphene.ID(required=True, description="The webhook's id.")
_EVENTS = {
    None: "What a webhook is told. As an argument it may be written in any case.",
    domain.WebhookEvent.TASK_COMPLETED: "A task has completed.",
    domain.WebhookEvent.TASK_FAILED: "A task has failed for good: its handler said that another attempt is of no use.",
    domain.WebhookEvent.TASK_CANCELLED: "A task was cancelled.",
    domain.WebhookEvent.TASK_DEAD_LETTERED: "A task has used up its attempts.",
    domain.WebhookEvent.TASK_RETRIED: "An attempt has failed, or was lost, and another one follows after a wait.",
    domain.WebhookEvent.TEST: "Nothing has happened: somebody tries the webhook. It cannot be subscribed to.",
}
WebhookEvent = graphene.Enum.from_enum(domain.WebhookEvent, description=_EVENTS.__getitem__)


class Webhook(graphene.ObjectType):
    """An address of a team that is told what becomes of the team's tasks."""

    id = graphene.ID(required=True, description="The webhook's id, a UUID.")
    url = graphene.String(required=True, description="Where messages go.")
    events = graphene.List(graphene.NonNull(WebhookEvent), required=True, description="What it is told.")
    description = graphene.String(required=True, description="What people call it; may be empty.")
    active = graphene.Boolean(required=True, description="Whether it is told anything.")
    disabled_reason = graphene.String(description="Why it was switched off, if the receiver brought that about.")
    previous_secret_until = DateTime(
        description="Until when messages are signed by its previous secret too; null if there is none."
    )
    created_at = DateTime(required=True, description="When it was made.")
    updated_at = DateTime(required=True, description="When it was changed last.")
    team = graphene.Field(Team, required=True, description="The team whose tasks it is told of.")

    @staticmethod
    def resolve_disabled_reason(webhook: models.Webhook, info: GraphQLResolveInfo) -> str | None:
        """The reason, or None if there is none."""
        return webhook.disabled_reason or None


class IssuedWebhook(graphene.ObjectType):
    """A webhook with a new secret."""

    webhook = graphene.Field(Webhook, required=True, description="The webhook.")
    secret = graphene.String(
        required=True, description="By which its receiver verifies messages; nobody can be shown it again."
    )


class WebhookAttempt(graphene.ObjectType):
    """One attempt to deliver a message."""

    attempt = graphene.Int(required=True, description="Which attempt of the task that carries it, counted from 1.")
    at = DateTime(required=True, description="When it had ended.")
    status_code = graphene.Int(description="With which HTTP status it was answered; null if there was no answer.")
    duration_ms = graphene.Int(required=True, description="How many milliseconds it took.")
    error = graphene.String(description="What was wrong; null if the message was taken.")

    @staticmethod
    def resolve_error(attempt: models.WebhookAttempt, info: GraphQLResolveInfo) -> str | None:
        """The error, or None if there is none."""
        return attempt.error or None


class WebhookDelivery(graphene.ObjectType):
    """A message for one webhook, the same however often it is sent."""

    id = graphene.ID(required=True, description="The message's id, which the receiver sees as `webhook-id`.")
    event = graphene.Field(WebhookEvent, required=True, description="What it tells.")
    task_id = graphene.ID(description="The id of the task that it tells of; ask `task` for it. Null for a test.")
    carrier_id = graphene.ID(required=True, description="The id of the task that delivers it; ask `task` for it.")
    body = graphene.String(required=True, description="What is sent.")
    created_at = DateTime(required=True, description="When it was made.")
    delivered_at = DateTime(description="When it was taken last; null if it never was.")
    attempts = graphene.List(graphene.NonNull(WebhookAttempt), required=True, description="The attempts, in order.")

    @staticmethod
    def resolve_attempts(delivery: models.WebhookDelivery, info: GraphQLResolveInfo) -> Sequence[models.WebhookAttempt]:
        """Those that were read with it."""
        return delivery.tries.all()


class CreateWebhookInput(graphene.InputObjectType):
    """A new webhook."""

    url = graphene.String(required=True, description="Where messages go: an https:// address on the public internet.")
    events = graphene.List(graphene.NonNull(WebhookEvent), required=True, description="What it is to be told.")
    description = graphene.String(description="What people call it.")
    active = graphene.Boolean(default_value=True, description="Whether it is told anything yet.")


class UpdateWebhookInput(graphene.InputObjectType):
    """What is to change about a webhook; fields that are left out stay as they are."""

    url = graphene.String(description="Where messages go.")
    events = graphene.List(graphene.NonNull(WebhookEvent), description="What it is to be told.")
    description = graphene.String(description="What people call it.")
    active = graphene.Boolean(description="Whether it is told anything.")


class WebhooksQuery(graphene.ObjectType):
    """The fields of Query about webhooks."""

    webhooks = graphene.List(
        graphene.NonNull(Webhook),
        required=True,
        **PAGE,
        description="The team's webhooks, the oldest first; for admins all.",
    )
    webhook = graphene.Field(Webhook, id=WEBHOOK_ID, description="One webhook.")
    webhook_deliveries = graphene.List(
        graphene.NonNull(WebhookDelivery),
        required=True,
        id=WEBHOOK_ID,
        **PAGE,
        description="What was to be delivered to a webhook, the newest first, and how that went.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_webhooks(
        root: None, info: GraphQLResolveInfo, limit: int | None = None, offset: int | None = None
    ) -> Sequence[models.Webhook]:
        """A page of them."""
        limit, offset = read_page(limit, offset)
        rows = subscriptions.visible_to(info.context.identity)[offset : offset + limit]
        return _with_teams(list(rows), Selection.below(info))

    @staticmethod
    @requires(Role.USER)
    def resolve_webhook(root: None, info: GraphQLResolveInfo, id: str) -> models.Webhook:
        """The webhook, if the caller may see it."""
        return _with_teams([_visible(info, id)], Selection.below(info))[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_webhook_deliveries(
        root: None, info: GraphQLResolveInfo, id: str, limit: int | None = None, offset: int | None = None
    ) -> Sequence[models.WebhookDelivery]:
        """A page of them, with their attempts."""
        return deliveries.of_webhook(_visible(info, id).pk, *read_page(limit, offset))


class WebhooksMutation(graphene.ObjectType):
    """The fields of Mutation about webhooks."""

    create_webhook = graphene.Field(
        IssuedWebhook,
        required=True,
        input=CreateWebhookInput(required=True, description="Where, and of what."),
        description="Have an address told what becomes of the team's tasks, from two seconds later on.",
    )
    update_webhook = graphene.Field(
        Webhook,
        required=True,
        id=WEBHOOK_ID,
        input=UpdateWebhookInput(required=True, description="What is to change."),
        description="Change a webhook, or switch it on or off.",
    )
    rotate_webhook_secret = graphene.Field(
        IssuedWebhook,
        required=True,
        id=WEBHOOK_ID,
        overlap_seconds=graphene.Int(
            default_value=USUAL_OVERLAP_SECONDS,
            description="For how long messages are signed by the old secret too, at most 30 days.",
        ),
        description="Give a webhook a new secret.",
    )
    delete_webhook = graphene.ID(
        required=True,
        id=WEBHOOK_ID,
        description="Tell a webhook nothing more, what waits for it included. Answers its id.",
    )
    test_webhook = graphene.Field(
        Task,
        required=True,
        id=WEBHOOK_ID,
        description="Send a webhook a `webhook.test`, also while it is off; answers with the task that carries it.",
    )
    redeliver_webhook = graphene.Field(
        Task,
        required=True,
        id=WEBHOOK_ID,
        delivery_id=graphene.ID(required=True, description="The id of the delivery."),
        description="Send a message again under its old id, whether it was taken or not; answers with the task that carries it.",
    )

    @staticmethod
    @requires(Role.USER)
    def resolve_create_webhook(root: None, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> subscriptions.Issued:
        """Make it, in the caller's team."""
        identity = info.context.identity
        with fields_of("input"):
            return changes.create(_read(input), identity.team_id, identity, info.context.clock.now())

    @staticmethod
    @requires(Role.USER)
    def resolve_update_webhook(
        root: None, info: GraphQLResolveInfo, id: str, input: Mapping[str, Any]
    ) -> models.Webhook:
        """Check the changes and write them."""
        webhook = _visible(info, id)
        with fields_of("input"):
            return changes.update(webhook, _read(input), info.context.identity, info.context.clock.now())

    @staticmethod
    @requires(Role.USER)
    def resolve_rotate_webhook_secret(
        root: None, info: GraphQLResolveInfo, id: str, overlap_seconds: int | None = None
    ) -> subscriptions.Issued:
        """Make the new one."""
        overlap = timedelta(seconds=USUAL_OVERLAP_SECONDS if overlap_seconds is None else overlap_seconds)
        return changes.rotate(_visible(info, id), overlap, info.context.identity, info.context.clock.now())

    @staticmethod
    @requires(Role.USER)
    def resolve_delete_webhook(root: None, info: GraphQLResolveInfo, id: str) -> str:
        """Remove it."""
        webhook = _visible(info, id)
        changes.delete(webhook, info.context.identity)
        return str(webhook.pk)

    @staticmethod
    @requires(Role.USER)
    def resolve_test_webhook(root: None, info: GraphQLResolveInfo, id: str) -> models.Task:
        """Make the message and its task."""
        task = changes.test(_visible(info, id), info.context.identity, info.context.clock.now())
        return with_related([task], info)[0]

    @staticmethod
    @requires(Role.USER)
    def resolve_redeliver_webhook(root: None, info: GraphQLResolveInfo, id: str, delivery_id: str) -> models.Task:
        """Have a task carry it again."""
        webhook, now = _visible(info, id), info.context.clock.now()
        task = changes.redeliver(read_id(delivery_id), webhook, info.context.identity, now)
        return with_related([task], info)[0]


def _visible(info: GraphQLResolveInfo, id: str) -> models.Webhook:
    webhook = subscriptions.visible_to(info.context.identity).filter(pk=read_id(id)).first()
    if webhook is None:
        raise NotFound
    return webhook


def _read(input: Mapping[str, Any]) -> dict[str, Any]:
    events = input.get("events")
    return dict(input) | ({} if events is None else {"events": [str(each.value) for each in events]})


def _with_teams(webhooks: Sequence[models.Webhook], selection: Selection) -> Sequence[models.Webhook]:
    if "team" in selection:
        prefetch_related_objects(webhooks, "team")
    return webhooks
