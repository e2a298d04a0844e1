"""The rows of scheduling: schedules, written by `schedules.py`, the leader's lease, by `runtime/leader.py`, what duties have
done, by `runtime/bookkeeper.py`, and samples of the metrics, by `samples.py`.
"""

from __future__ import annotations

from django.db import models

from dtq_site.foundation.database import KeyField
from scheduling.domain.misfires import MisfirePolicy
from scheduling.domain.overlaps import OverlapPolicy


class Schedule(models.Model):
    """A recurring definition: when, and which task it makes."""

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()

    cron_expression = models.CharField(max_length=200, null=True, help_text="empty where an interval says when")
    interval_seconds = models.PositiveIntegerField(null=True)
    counts_from = models.DateTimeField(null=True, help_text="the moment from which its interval counts")
    timezone = models.CharField(max_length=64)
    starts_at = models.DateTimeField(null=True, help_text="no slot is before it")
    ends_at = models.DateTimeField(null=True, help_text="no slot is after it")
    jitter_seconds = models.PositiveIntegerField(default=0, help_text="how long after its slot it fires at most")
    misfire_policy = models.CharField(max_length=16, default=MisfirePolicy.FIRE_ONCE)
    overlap_policy = models.CharField(max_length=16, default=OverlapPolicy.ALLOW)

    paused = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(
        default=1, help_text="grows with every change, so that no stale step is taken"
    )
    next_slot = models.DateTimeField(null=True, help_text="the coming slot; empty while paused, and after the last one")
    next_due = models.DateTimeField(null=True, help_text="when the coming slot fires: it and its jitter")
    coming_task_id = models.UUIDField(null=True, help_text="the PENDING task of the coming slot")
    behind_task_id = models.UUIDField(null=True, help_text="the task for whose end the coming slot waits")
    last_task_id = models.UUIDField(null=True, help_text="the task of the slot that fired last")
    last_fired_at = models.DateTimeField(null=True)

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

    def __str__(self) -> str:
        return str(self.title)


class LeaderLease(models.Model):
    """Who leads the schedulers, until when. One row."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.UUIDField()
    term = models.PositiveBigIntegerField(help_text="grows with every change of leader")
    expires_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    up_since = models.DateTimeField(help_text="start of the unbroken run of renewals, over all leaders")


class DutyRecord(models.Model):
    """What a duty does and has done, whichever scheduler performed it."""

    name = KeyField(max_length=64, primary_key=True)
    began_at = models.DateTimeField(null=True, help_text="when the round began that goes on; empty between rounds")
    succeeded_at = models.DateTimeField(null=True, help_text="when it last was through with its work")
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(default="", help_text="of the round that failed last")
    seconds = models.FloatField(default=0, help_text="how long its last round took")
    treated = models.PositiveBigIntegerField(default=0, help_text="how many rows it has treated, in all")
    failures = models.PositiveBigIntegerField(default=0, help_text="how many rounds have failed, in all")
    expected_at = models.DateTimeField(
        null=True, help_text="by when a round should have ended well; past that, it is behind"
    )

    def __str__(self) -> str:
        return str(self.name)


class MetricSample(models.Model):
    """The sums of `tasks/metrics.py` at one moment, and how the queues stood then.

    What happened between two samples is their difference.
    """

    taken_at = models.DateTimeField(db_index=True)
    step = models.PositiveIntegerField(help_text="the seconds of the longest stretch of time whose first sample it is")
    sums = models.JSONField(help_text="by metric, then by label")
    queues = models.JSONField(
        help_text="for each queue in which tasks waited: how many, and the seconds for which the oldest had"
    )

    class Meta:
        indexes = [models.Index(fields=["step", "taken_at"], name="sample_of_step")]
