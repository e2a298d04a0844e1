"""The rows of workers, written by `presence.py` only."""

from __future__ import annotations

from django.db import models

from dtq_site.foundation.database import KeyField
from workers.domain.liveness import WorkerStatus


class Worker(models.Model):
    """One worker process, from its sign-on to the day when its row is tidied away."""

    id = models.UUIDField(primary_key=True)
    name = KeyField(max_length=200)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, null=True, related_name="+")
    queues = models.JSONField(help_text="the queues it serves; an empty list is all of them")
    handlers = models.JSONField(help_text="the handlers that it knows: name to declaration")
    concurrency = models.PositiveIntegerField()
    transport = models.CharField(max_length=16)
    version = models.CharField(max_length=40)
    account_id = models.UUIDField(null=True, help_text="who registered it by the API; null: it needs no API")
    token_id = models.UUIDField(null=True, db_index=True, help_text="the worker token with which it was last heard of")
    lease_seconds = models.PositiveIntegerField(null=True, help_text="how long a lease it last asked for by the API")
    status = models.CharField(max_length=16, default=WorkerStatus.RUNNING)
    started_at = models.DateTimeField()
    last_heartbeat = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.name)
