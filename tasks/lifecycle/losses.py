"""The verbs that take tasks back from workers that died or vanished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from dtq_site.foundation.database import repeats_lock_conflicts
from tasks import audit, metrics
from tasks.domain import retry as retry_rules
from tasks.domain.lease import Lease
from tasks.domain.retry import RetryPolicy
from tasks.domain.states import MOVES, TaskStatus
from tasks.lifecycle.dependencies import follow_ends
from tasks.lifecycle.effects import follow
from tasks.lifecycle.freeing import free_all, held_among
from tasks.lifecycle.rows import (
    BULKY,
    ENDED,
    NO_LEASE,
    PLACE,
    UNCOUNTED,
    Jitter,
    assign,
    bearing,
    borne,
    ending_of,
    history,
    lease_of,
    locked,
    make_ready,
    make_wait,
    write,
)
from tasks.models import Task


@repeats_lock_conflicts
def reap(policy: RetryPolicy, jitter: Jitter, now: datetime, limit: int = 500) -> list[Task]:
    """Take back tasks whose lease has ended and that are not held for their worker (any more); returns them.

    The claim's id, and whether it had begun, stay on the row: until somebody claims the task again, its last holder may
    still complete it.
    """
    ended = _ended(now)
    chosen = Task.objects.filter(ended).order_by("lease_expires_at")[:limit].values_list("pk", flat=True)
    tasks = locked(list(chosen), ended)
    _lose(tasks, ended, policy, jitter, now, "worker lost: it stopped renewing its lease")
    return tasks


def has_ended_leases(now: datetime) -> bool:
    """Whether there is anything to reap."""
    return Task.objects.filter(_ended(now)).exists()


def _ended(now: datetime) -> Q:
    released = Q(held_until=None) | Q(held_until__lt=now)
    return Q(released, status__in=MOVES["reap"].sources, lease_expires_at__lt=now)


@repeats_lock_conflicts
def reap_cancelled(now: datetime, limit: int = 500) -> int:
    """Forget the attempts of cancelled tasks whose workers have not said until the end of the lease that they stopped.

    One that had not begun is not counted: its worker may never have heard that it won the task. Returns how many there were.
    """
    ended = Q(status=TaskStatus.CANCELLED, lease_expires_at__lt=now)
    chosen = Task.objects.filter(ended).order_by("lease_expires_at")[:limit].values_list("pk", flat=True)
    tasks = locked(list(chosen), ended, without=BULKY)
    held_by_them = held_among(tasks)
    rows = Task.objects.filter(ended, pk__in=[task.pk for task in tasks])
    rows.filter(begun=False).update(**UNCOUNTED)
    rows.filter(begun=True).update(**NO_LEASE)
    follow(free_all(held_by_them, now))
    return len(tasks)


PROCESS_DIED = "the process that ran the task died"


@repeats_lock_conflicts
def forfeit(
    leases: Sequence[Lease], policy: RetryPolicy, jitter: Jitter, now: datetime, reason: str = PROCESS_DIED
) -> list[Task]:
    """Take back tasks that had begun and go on no more, as their holder says, or who has shut it out.

    Of one that was cancelled this is its worker's word that it has stopped. Returns those that were taken back.
    """
    held = borne(leases)
    tasks = [task for task in held.values() if task.status in MOVES["reap"].sources]
    stopped = [task for task in held.values() if task.status in (TaskStatus.CANCELLED, TaskStatus.PENDING)]
    for task in tasks:
        task.begun = True
    guard = bearing(held) & Q(status__unindexed__in=MOVES["reap"].sources)
    _lose(tasks, guard, policy, jitter, now, f"worker lost: {reason}")
    Task.objects.filter(bearing(held), pk__in=[task.pk for task in stopped]).update(**NO_LEASE)
    follow(free_all(held_among(stopped), now))
    return tasks


def _lose(tasks: Sequence[Task], guard: Q, policy: RetryPolicy, jitter: Jitter, now: datetime, reason: str) -> None:
    endings = [ending_of(task, lease_of(task), "lost", reason) for task in tasks]
    held_by_them = held_among(tasks)
    for task in tasks:
        _set_lost(task, policy, jitter, now, reason)
    columns = ["attempts", "lost_leases", "error", "scheduled_at", *PLACE, "queued_at", "completed_at", "claim_id"]
    write(tasks, guard, columns)
    audit.record_endings(endings, now)
    children = follow_ends(tasks, now)
    follow([*tasks, *children, *free_all(held_by_them, now)], Counter({(metrics.LOST_LEASES, ""): len(tasks)}))


def _set_lost(task: Task, policy: RetryPolicy, jitter: Jitter, now: datetime, reason: str) -> None:
    claim_id, begun = task.claim_id, task.begun
    if begun:
        task.lost_leases += 1
    else:
        # Nothing is charged, but from now on its start is noted before it happens, so that the next loss tells the truth.
        task.attempts -= 1
        task.lost_leases = max(task.lost_leases, 1)
    sequel = retry_rules.after_lost_lease(history(task), begun, policy, jitter())
    if sequel.status is TaskStatus.DEAD_LETTER:
        assign(task, now, status=TaskStatus.DEAD_LETTER, error=reason, completed_at=now, **ENDED)
        return
    if sequel.status is TaskStatus.QUEUED:
        make_ready(task, now)
    else:
        make_wait(task, now + sequel.wait, now)
    assign(task, now, **{**NO_LEASE, "claim_id": claim_id, "begun": begun})
