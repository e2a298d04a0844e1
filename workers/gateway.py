"""The one door through which workers get tasks and report: whichever transport they come by, they end here.

How tasks are got is in `claiming.py`, whose `claim` and `wait` are a part of the door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError

from dtq_site.foundation import strict_json
from dtq_site.foundation.backoff import jitter
from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.clock import Clock
from dtq_site.foundation.connections import is_too_large, may_be_too_large, reconnect
from dtq_site.foundation.database import ESCAPED, STATEMENT_BYTES, database_clock
from tasks import audit, lifecycle, parents, submission
from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.locks import LOCK_NAMES, LockAnswer
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict, shortened
from tasks.domain.retry import RetryPolicy
from tasks.handling.port import EnqueueRequest
from tasks.lifecycle.losses import PROCESS_DIED
from tasks.lock_bell import lock_bell
from tasks.models import Task
from tasks.submission import Owner
from workers.claiming import Caller, claim, wait

_BYTES_BESIDE = 65_536
"""What a statement that settles holds at most beside results and errors."""

__all__ = [
    "Caller",
    "begin",
    "claim",
    "enqueue",
    "forfeit",
    "free_lock",
    "record",
    "release",
    "renew",
    "report",
    "results",
    "retry_policy",
    "take_lock",
    "wait",
    "wait_for_lock",
]

# --- while it runs -------------------------------------------------------------------------------------------------


def begin(leases: Sequence[Lease], clock: Clock = database_clock) -> set[Lease]:
    """Note that attempts have started; returns the leases that are still held."""
    return lifecycle.mark_begun(leases, clock.now())


def renew(
    leases: Sequence[Lease], length: timedelta, clock: Clock = database_clock, hold: timedelta | None = None
) -> dict[Lease, RenewalVerdict]:
    """Extend leases; says for each whether it is renewed, lost or cancelled. `hold`: see `lifecycle.renew`."""
    return lifecycle.renew(leases, length, clock.now(), hold)


def release(leases: Sequence[Lease], clock: Clock = database_clock) -> int:
    """Take back tasks that were not started; see `lifecycle.release`."""
    return lifecycle.release(leases, clock.now())


def forfeit(leases: Sequence[Lease], clock: Clock = database_clock, reason: str = PROCESS_DIED) -> int:
    """Take back tasks whose handlers had begun and go on no more; see `lifecycle.forfeit`. Returns how many."""
    return len(lifecycle.forfeit(leases, retry_policy(), jitter, clock.now(), reason))


def record(lines: Sequence[audit.LogLine], progress: Mapping[Lease, int], clock: Clock = database_clock) -> None:
    """Keep log lines and progress of running tasks."""
    now = clock.now()
    known = set(Task.objects.filter(pk__in={line.task_id for line in lines}).values_list("pk", flat=True))
    audit.record_lines([line for line in lines if line.task_id in known], now)
    lifecycle.note_progress(progress, now)


def enqueue(parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Task]:
    """Create tasks in the team of the task that asks for them."""
    return submission.submit(
        [submission.request_from_code(request) for request in requests], Owner(parent.team_id, None)
    )


def results(lease: Lease) -> dict[str, Any]:
    """What the tasks have returned that a task depends on; see `parents.results_of`."""
    return parents.results_of(lease.task_id, settings.DTQ_TASKS.max_results_bytes)


def take_lock(lease: Lease, name: str, clock: Clock = database_clock) -> LockAnswer:
    """Try to take a lock for a running attempt; it holds it until it frees it or its lease ends."""
    return lifecycle.take_lock(lease, LOCK_NAMES.check_name(name), clock.now())


def free_lock(lease: Lease, name: str, clock: Clock = database_clock) -> bool:
    """Free a lock of a running attempt; False if it does not hold it (any more)."""
    return lifecycle.free_lock(lease, LOCK_NAMES.check_name(name), clock.now())


def wait_for_lock(name: str, timeout_seconds: float) -> None:
    """Sleep until the lock may have been freed, at most that long."""
    lock_bell().wait(name, timeout_seconds)


# --- outcomes ------------------------------------------------------------------------------------------------------


def report(outcomes: Sequence[Outcome], clock: Clock = database_clock) -> dict[Lease, OutcomeVerdict]:
    """Record outcomes. One that cannot be stored fails its own task with a clear message and holds up no other."""
    verdicts: dict[Lease, OutcomeVerdict] = {}
    for batch in by_weight([_weighed(outcome) for outcome in outcomes], STATEMENT_BYTES):
        verdicts |= _settle(batch, clock)
    return verdicts


def _settle(outcomes: Sequence[Outcome], clock: Clock, hung_up_before: bool = False) -> dict[Lease, OutcomeVerdict]:
    """Record a batch; halve one that is refused until the culprit stands alone.

    A statement too large for the database makes it hang up, as other things do. Outcomes that are not are tried twice and left
    to the caller, who tries again later; a culprit is tried alone twice.
    """
    if not outcomes:
        return {}
    try:
        return lifecycle.settle(outcomes, retry_policy(), jitter, clock.now())
    except (DataError, IntegrityError, ValueError, OperationalError) as error:
        hung_up = isinstance(error, OperationalError)
        if hung_up and not (may_be_too_large(error) and reconnect()):
            raise
        if hung_up and not is_too_large(error, _most_bytes(outcomes)):
            if hung_up_before:
                raise
            return _settle(outcomes, clock, hung_up)
        if len(outcomes) == 1 and (hung_up_before or not hung_up):
            return _settle_refused(outcomes[0], error, clock)
    middle = len(outcomes) // 2
    return _settle(outcomes[:middle], clock, hung_up) | _settle(outcomes[middle:], clock, hung_up)


def _most_bytes(outcomes: Sequence[Outcome]) -> int:
    return _BYTES_BESIDE + round(ESCAPED * sum(weight for _, weight in map(_weighed, outcomes)))


def _settle_refused(outcome: Outcome, error: Exception, clock: Clock) -> dict[Lease, OutcomeVerdict]:
    return lifecycle.settle([_unstorable(outcome, str(error))], retry_policy(), jitter, clock.now())


def _weighed(outcome: Outcome) -> tuple[Outcome, int]:
    """The outcome as it can be stored, and how many bytes that takes."""
    if outcome.kind is not OutcomeKind.COMPLETED:
        return outcome, len(shortened(outcome.error).encode())
    try:
        text = strict_json.encode(outcome.result, max_bytes=settings.DTQ_TASKS.max_json_bytes)
    except (strict_json.NotJSON, strict_json.TooLarge) as error:
        return _weighed(_unstorable(outcome, str(error)))
    return outcome, len(text.encode())


def _unstorable(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, kind=OutcomeKind.DISCARDED, result=None, error=f"result cannot be stored: {reason}")


def retry_policy() -> RetryPolicy:
    """The installation's rules for what follows a failure or a lost lease."""
    options = settings.DTQ_TASKS
    return RetryPolicy(options.retry_backoff_ms, options.retry_backoff_cap, options.max_lost_leases)
