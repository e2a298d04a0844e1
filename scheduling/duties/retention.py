"""Removes what has been kept long enough, each kind by a duty of its own, once a day at the hour that the settings name.

What is removed goes in small chunks, and after each chunk the duty rests for as long as the chunk has taken, so that nobody
waits for it. Idempotency keys need none: a key lives as long as its task.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from accounts import audit, tokens
from dtq_site.foundation.clock import elapsed_clock
from scheduling import selectors
from scheduling.options import SchedulingOptions
from scheduling.runtime.duty import Duty
from tasks import audit as task_audit
from tasks import lifecycle, limit_line, locks
from tasks.domain.states import TaskStatus
from tasks.webhooks import deliveries
from workers import presence

CHUNK = 500
DAY = timedelta(days=1)
SHORTEST_REST_SECONDS = 0.05
LONGEST_SLEEP_SECONDS = 600.0
"""A sleep is not counted while the machine sleeps too, and the hour must not be missed for that."""


class Removal(Duty):
    """Removes one kind of rows. Subclasses give it a `name` and `remove`."""

    period_seconds = DAY.total_seconds()
    _is_through = True

    @property
    def is_through(self) -> bool:
        """Whether the last chunk was the last one."""
        return self._is_through

    @abstractmethod
    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """Remove at most CHUNK rows that were kept long enough; returns whether there may be more of them.

        What is removed is counted by `progress.treat`.
        """

    def perform(self, now: datetime) -> float:
        """Remove a chunk, unless all was done since the hour came last; it came, too, if nobody has ever done it."""
        hour = _latest(settings.DTQ_SCHEDULING.retention_hour, now)
        done_at = selectors.last_success(self.name)
        until_next = min((hour + DAY - now).total_seconds(), LONGEST_SLEEP_SECONDS)
        if self._is_through and done_at is not None and done_at >= hour:
            return until_next
        rest = self._remove_chunk(now)
        return until_next if self._is_through else rest

    def perform_to_the_end(self) -> None:
        """Remove all chunks, whatever the hour."""
        self._is_through = False
        super().perform_to_the_end()

    def _remove_chunk(self, now: datetime) -> float:
        began, before = elapsed_clock(), self.progress.account.treated
        self._is_through = not self.remove(settings.DTQ_SCHEDULING, now)
        removed = self.progress.account.treated - before
        if removed:
            self.observer.emit("rows.removed", duty=self.name, rows=removed)
        return max(elapsed_clock() - began, SHORTEST_REST_SECONDS)

    def _count(self, removed: Sequence[int]) -> bool:
        self.progress.treat(sum(removed))
        return max(removed) >= CHUNK


class TaskRetention(Removal):
    """Tasks that have ended: how long one is kept depends on how it ended. Its log goes with it."""

    name = "task retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """A chunk of each kind."""
        kept = {
            TaskStatus.COMPLETED: options.completed_retention,
            TaskStatus.CANCELLED: options.cancelled_retention,
            TaskStatus.FAILED: options.failed_retention,
            TaskStatus.DEAD_LETTER: options.dead_letter_retention,
        }
        removed = [lifecycle.remove_ended({status}, now - age, CHUNK, now) for status, age in kept.items()]
        self.progress.treat(sum(each.count for each in removed))
        return any(each.may_be_more for each in removed)


class LogRetention(Removal):
    """Log lines of tasks that are still there."""

    name = "log retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """The oldest lines."""
        return self._count([task_audit.forget_lines(now - options.log_retention, CHUNK)])


class WorkerRetention(Removal):
    """Workers that have ended or vanished."""

    name = "worker retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """Those that were silent for long enough."""
        return self._count([presence.forget_silent(now - options.worker_retention, CHUNK)])


class AccountRetention(Removal):
    """What accounts leave behind: expired tokens and sessions of the admin, and old entries of the audit log."""

    name = "account retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """A chunk of each."""
        return self._count([tokens.forget_expired(now, CHUNK), audit.forget(now - options.audit_retention, CHUNK)])


class LockRetention(Removal):
    """Rows of locks that nobody takes any more."""

    name = "lock retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """Those that were free for long enough."""
        return self._count([locks.forget_free(now, CHUNK)])


class LimitRetention(Removal):
    """Rows of limits that nobody waits for."""

    name = "limit retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """Those that were made long ago; who meets a limit makes its row anew."""
        return self._count([limit_line.forget_old(now, CHUNK)])


class WebhookRetention(Removal):
    """The log of what was delivered to webhooks."""

    name = "webhook retention"

    def remove(self, options: SchedulingOptions, now: datetime) -> bool:
        """The oldest deliveries."""
        return self._count([deliveries.forget_old(now - options.webhook_retention, CHUNK)])


REMOVALS = (
    *(TaskRetention, LogRetention, WorkerRetention, AccountRetention),
    *(LockRetention, LimitRetention, WebhookRetention),
)


def _latest(hour: int, now: datetime) -> datetime:
    """When the clock last showed this hour, in UTC."""
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= now else today - DAY
