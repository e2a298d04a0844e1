"""When a task runs again after a failure or a lost lease, and when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tasks.domain.states import TaskStatus

JITTER = 0.1


@dataclass(frozen=True)
class RetryPolicy:
    """The installation's rules: the first wait, the longest wait, and how many lost leases a task survives."""

    backoff_ms: int
    backoff_cap: timedelta
    max_lost_leases: int


@dataclass(frozen=True)
class History:
    """A task's attempts: `attempts` since its last manual retry, `failures` among them, and its lost leases."""

    attempts: int
    failures: int
    lost_leases: int
    max_retries: int

    @property
    def used_up(self) -> bool:
        """Whether no attempt is left."""
        return self.attempts > self.max_retries


@dataclass(frozen=True)
class Sequel:
    """What follows an attempt: the next state and, for PENDING, the wait before the task is ready again."""

    status: TaskStatus
    wait: timedelta = timedelta(0)


def backoff(times: int, policy: RetryPolicy, fraction: float) -> timedelta:
    """The wait after the `times`-th failure in a row (from 1): it doubles, is capped, and jitter only lengthens it.

    `fraction`, from 0 to 1, chooses the jitter: up to a tenth of the wait.
    """
    milliseconds = policy.backoff_ms * 2 ** min(times - 1, 60)
    wait = min(timedelta(milliseconds=min(milliseconds, 10**12)), policy.backoff_cap)
    return wait * (1 + JITTER * fraction)


def after_failure(
    history: History, policy: RetryPolicy, fraction: float, asked_wait: timedelta | None = None
) -> Sequel:
    """What follows a failed attempt that `history` already counts; `asked_wait` is the handler's own choice."""
    if history.used_up:
        return Sequel(TaskStatus.DEAD_LETTER)
    wait = asked_wait if asked_wait is not None else backoff(history.failures, policy, fraction)
    return Sequel(TaskStatus.PENDING, wait)


def after_lost_lease(history: History, begun: bool, policy: RetryPolicy, fraction: float) -> Sequel:
    """What follows a lost lease that `history` already counts.

    The first loss sends the task back at once; from the second on it waits, so that a task that kills its workers does
    not take one after the other down.
    """
    if begun and (history.lost_leases > policy.max_lost_leases or history.used_up):
        return Sequel(TaskStatus.DEAD_LETTER)
    if history.lost_leases < 2:
        return Sequel(TaskStatus.QUEUED)
    return Sequel(TaskStatus.PENDING, backoff(history.lost_leases - 1, policy, fraction))
