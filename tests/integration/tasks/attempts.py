"""Every way in which an attempt may end, and what there is to be seen of it."""

from __future__ import annotations

from collections.abc import Callable

from tasks import lifecycle
from tasks.domain.outcome import OutcomeVerdict
from tasks.models import Task, TaskAttempt
from tests.support.factories import (
    POLICY,
    after,
    completed,
    discarded,
    failed,
    lease_of,
    no_jitter,
    reap,
    reread,
    settle,
)

ACCEPTED, DUPLICATE, STALE_LEASE = OutcomeVerdict.ACCEPTED, OutcomeVerdict.DUPLICATE, OutcomeVerdict.STALE_LEASE


def state(task: Task) -> tuple[str, str]:
    """Its status, and what holds it."""
    found = reread(task)
    return (found.status, found.hold)


def endings(task: Task) -> list[tuple]:
    """What is kept of its attempts that have ended."""
    return list(
        TaskAttempt.objects.filter(task=task).order_by("id").values_list("ending", "attempt", "fencing_token", "error")
    )


def cancel_and_acknowledge(task: Task) -> None:
    """An operator calls the task off, and its worker has heard of it."""
    lifecycle.cancel(task.pk, after(1))
    lifecycle.release([lease_of(reread(task))], after(2))


def retry_and_acknowledge(task: Task) -> None:
    """The operator changes their mind before the worker has heard of it."""
    lifecycle.cancel(task.pk, after(1))
    lifecycle.retry(task.pk, after(1))
    lifecycle.release([lease_of(reread(task))], after(2))


def forfeit_cancelled(task: Task) -> None:
    """The process that ran it is gone before it has heard of the cancellation."""
    lifecycle.cancel(task.pk, after(1))
    lifecycle.forfeit([lease_of(reread(task))], POLICY, no_jitter, after(2))


ENDS: dict[str, Callable[[Task], object]] = {
    "completed": lambda task: settle(completed(lease_of(task)), now=after(1)),
    "failed": lambda task: settle(failed(lease_of(task)), now=after(1)),
    "discarded": lambda task: settle(discarded(lease_of(task)), now=after(1)),
    "released": lambda task: lifecycle.release([lease_of(task)], after(1)),
    "reaped": lambda task: reap(after(60)),
    "forfeited": lambda task: lifecycle.forfeit([lease_of(task)], POLICY, no_jitter, after(1)),
    "cancelled and acknowledged": cancel_and_acknowledge,
    "cancelled, retried and acknowledged": retry_and_acknowledge,
    "cancelled, and its process died": forfeit_cancelled,
}
