"""Columns of webhooks; no behaviour. `subscriptions.py` writes webhooks, `outbox.py` events, `deliveries.py` the others.

No row here refers to a task or a webhook by a foreign key: tasks and webhooks may be deleted before what was told of them, and a
move must not wait for anybody who changes a team.
"""

from __future__ import annotations

from django.db import models

from tasks.domain.webhooks import MAX_DESCRIPTION, MAX_EVENT, MAX_REASON
from tasks.webhooks.addresses import MAX_URL


class Webhook(models.Model):
    """A subscription: where a team wants to be told of what."""

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    url = models.CharField(max_length=MAX_URL)
    events = models.JSONField()
    description = models.CharField(max_length=MAX_DESCRIPTION, default="")
    active = models.BooleanField(default=True)
    disabled_reason = models.CharField(
        max_length=MAX_REASON, default="", help_text="why it was switched off, if nobody did it"
    )
    secret = models.CharField(max_length=64)
    previous_secret = models.CharField(max_length=64, null=True)
    previous_secret_until = models.DateTimeField(
        null=True, help_text="until when messages are signed by the previous secret too"
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return str(self.description or self.url)


class TaskEvent(models.Model):
    """What became of a task, and how it stood then. Gone as soon as it was made into deliveries."""

    event = models.CharField(max_length=MAX_EVENT)
    team_id = models.UUIDField()
    task_id = models.UUIDField()
    name = models.CharField(max_length=100)
    queue = models.CharField(max_length=64)
    attempts = models.PositiveIntegerField()
    error = models.TextField()
    at = models.DateTimeField()


class WebhookDelivery(models.Model):
    """A message for one webhook, the same however often it is sent. Its id is the message's."""

    id = models.UUIDField(primary_key=True)
    webhook_id = models.UUIDField()
    event = models.CharField(max_length=MAX_EVENT)
    task_id = models.UUIDField(null=True, help_text="of which task it tells; null: it is a test")
    body = models.TextField()
    carrier_id = models.UUIDField(help_text="the task that delivers it, the latest if it is delivered again")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [models.Index(fields=["webhook_id", "id"], name="deliveries_of_webhook")]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"


class WebhookAttempt(models.Model):
    """One attempt to deliver a message."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()
    status_code = models.PositiveSmallIntegerField(null=True, help_text="null: there was no answer")
    duration_ms = models.PositiveIntegerField()
    error = models.TextField(default="")

    class Meta:
        ordering = ("id",)
