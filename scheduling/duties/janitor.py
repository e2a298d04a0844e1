"""Removes what has been kept long enough: ended tasks, silent workers, expired tokens, locks that nobody takes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from accounts import tokens
from scheduling.runtime.duty import Duty
from tasks import lifecycle, locks
from tasks.domain.states import TaskStatus
from workers import presence

CHUNK = 500
SILENT_WORKERS = timedelta(days=1)


class Janitor(Duty):
    """Works in small chunks, so that nobody waits for it."""

    name = "janitor"
    period_seconds = 600.0

    def perform(self, now: datetime) -> float:
        """Remove one chunk of each kind; go on at once while there is more."""
        options = settings.DTQ_SCHEDULING
        removed = lifecycle.remove_ended(
            {TaskStatus.COMPLETED, TaskStatus.CANCELLED}, now - options.completed_retention, CHUNK
        )
        removed_failed = lifecycle.remove_ended(
            {TaskStatus.FAILED, TaskStatus.DEAD_LETTER}, now - options.failed_retention, CHUNK
        )
        presence.forget_silent(now - SILENT_WORKERS)
        tokens.forget_expired(now)
        locks.forget_free(now)
        if removed or removed_failed:
            self.observer.emit("tasks.removed", completed=removed, failed=removed_failed)
        return 0.05 if CHUNK in (removed, removed_failed) else self.period_seconds
