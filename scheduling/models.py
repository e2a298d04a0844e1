"""The rows of scheduling: schedules, written by `schedules.py`, and the leader's lease, by `runtime/leader.py`."""

from __future__ import annotations

from django.db import models

from dtq_site.foundation.database import KeyField


class Schedule(models.Model):
    """A recurring definition: when, and which task it makes."""

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, related_name="+")
    cron_expression = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64)
    paused = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(
        default=1, help_text="grows with every change, so that no stale step is taken"
    )
    next_due = models.DateTimeField(null=True, help_text="the coming slot; empty while paused")
    coming_task_id = models.UUIDField(null=True, help_text="the PENDING task of the coming slot")
    last_fired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    name = KeyField(max_length=100, help_text="the name of the task that it makes")
    title = models.CharField(max_length=200)
    description = models.TextField(default="")
    payload = models.JSONField()
    queue = KeyField(max_length=64)
    priority = models.SmallIntegerField()
    max_retries = models.PositiveIntegerField()
    timeout_seconds = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["paused", "next_due"], name="schedule_due")]


class LeaderLease(models.Model):
    """Who leads the schedulers, until when. One row."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.UUIDField()
    term = models.PositiveBigIntegerField(help_text="grows with every change of leader")
    expires_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    up_since = models.DateTimeField(help_text="start of the unbroken run of renewals, over all leaders")
