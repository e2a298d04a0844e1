"""The verbs of a task's way to a worker and back, and of the time in which it is held."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.statements import Found, Statement, write_and_judge
from tasks import events, limits, metrics
from tasks.domain.lease import Lease, RenewalVerdict, WhenLost
from tasks.domain.states import MOVES, TaskStatus
from tasks.events import Change
from tasks.lifecycle import statements, transitions
from tasks.lifecycle.admission import admit, is_conditional
from tasks.lifecycle.claims import Claim, ClaimedTask
from tasks.lifecycle.effects import follow
from tasks.lifecycle.freeing import free_all, held_among
from tasks.lifecycle.limiting import return_after_commit
from tasks.lifecycle.rows import NO_LEASE, UNCOUNTED, assign, bearing, borne, return_to_line, write
from tasks.lifecycle.statements import claim_of, claimed_task
from tasks.models import Task


def claim(
    task_ids: Collection[UUID],
    queue: str,
    names: Collection[str],
    claim: Claim,
    now: datetime,
    team_id: UUID | None = None,
) -> list[ClaimedTask]:
    """Lease ready tasks to a worker: those of `task_ids` that are still QUEUED in that queue, which is not paused.

    A task that needs a lock, a place under a cap or a token of a rate takes it, or waits for it as PENDING.
    Only rows that bear this claim's id count as won: a stale hint for a task that the same worker already runs is not.
    """
    limits.refresh()
    moves = [
        claim_of(claim, task_ids, queue, names, team_id, now),
        statements.claimed_under(claim.id, task_ids),
    ]
    won: list[ClaimedTask] = []

    def judge(found: Found) -> Sequence[Statement] | None:
        won[:] = _in_order(found, claim.id)
        if is_conditional(won):
            return None
        return [metrics.addition(_claimed(won, won, now))] if won else []

    if limits.of_queue(queue) is not None or not write_and_judge(moves, judge):
        return _claim_and_admit(moves, claim.id, queue, now)
    transitions.claimed(won)
    events.publish_after_commit(Change.MOVED, [task.pk for task in won])
    return won


@repeats_lock_conflicts
def _claim_and_admit(moves: Sequence[Statement], claim_id: UUID, queue: str, now: datetime) -> list[ClaimedTask]:
    found = [statement.run() for statement in moves][-1]
    won, waiting = admit(_in_order(found, claim_id), queue, now)
    metrics.record(_claimed([*won, *waiting], won, now))
    transitions.claimed([*won, *waiting])
    events.publish_after_commit(Change.MOVED, [task.pk for task in (*won, *waiting)])
    return won


def _claimed(moved: Sequence[ClaimedTask], won: Sequence[ClaimedTask], now: datetime) -> metrics.Counts:
    waits = [(now - task.queued_at).total_seconds() for task in won if task.queued_at]
    return metrics.entered(moved) + metrics.observed(metrics.WAIT_SECONDS, waits)


def claimed_under(claim_id: UUID, task_ids: Collection[UUID]) -> list[ClaimedTask]:
    """The tasks that bear this claim's id, in order."""
    return _in_order(statements.claimed_under(claim_id, task_ids).run(), claim_id)


def _in_order(found: Found, claim_id: UUID) -> list[ClaimedTask]:
    won = [claimed_task(row, claim_id) for row in found.rows]
    return sorted(won, key=lambda task: (task.rank, task.pk))


def claimed_before(claim: Claim, now: datetime) -> list[tuple[ClaimedTask, timedelta]]:
    """All tasks that the worker holds under this claim's id, in order, and for how long yet."""
    held = Task.objects.filter(status=TaskStatus.PROCESSING, lease_owner=claim.worker_id, claim_id=claim.id)
    ends = dict(held.values_list("pk", "lease_expires_at"))
    return [(task, max(ends[task.pk] - now, timedelta(0))) for task in claimed_under(claim.id, ends)]


@repeats_lock_conflicts
def mark_begun(leases: Sequence[Lease], now: datetime) -> set[Lease]:
    """Note that these attempts have started; returns the leases that are still held."""
    held = {lease for lease, task in borne(leases).items() if task.status == TaskStatus.PROCESSING}
    Task.objects.filter(bearing(held), status__unindexed=TaskStatus.PROCESSING).update(begun=True, updated_at=now)
    return held


@repeats_lock_conflicts
def renew(
    leases: Sequence[Lease], length: timedelta, now: datetime, hold: timedelta | None = None
) -> dict[Lease, RenewalVerdict]:
    """Extend leases; says for each whether it was renewed, is lost, or belongs to a task that was cancelled.

    `hold` is for how long beyond its lease a task that asks for it is kept for this worker, which may be cut off.
    """
    held: set[Lease] = set()
    verdicts = dict.fromkeys(leases, RenewalVerdict.LOST)
    for lease, task in borne(leases).items():
        if task.status == TaskStatus.PROCESSING:
            verdicts[lease] = RenewalVerdict.RENEWED
            held |= {lease} if hold is not None and task.when_lost == WhenLost.HOLD else set()
        elif task.lease_expires_at is not None:
            verdicts[lease] = RenewalVerdict.CANCELLED
    renewed = {lease for lease, verdict in verdicts.items() if verdict is RenewalVerdict.RENEWED}
    for part, held_until in ((renewed - held, None), (held, now + length + (hold or timedelta(0)))):
        Task.objects.filter(bearing(part), status__unindexed=TaskStatus.PROCESSING).update(
            lease_expires_at=now + length, held_until=held_until
        )
    return verdicts


@repeats_lock_conflicts
def note_progress(progress: Mapping[Lease, int], now: datetime) -> None:
    """Keep how far handlers say they are, in per cent, where the lease is still theirs."""
    for lease, percent in progress.items():
        Task.objects.filter(bearing([lease]), status__unindexed=TaskStatus.PROCESSING).update(
            progress=percent, version=F("version") + 1, updated_at=now
        )
    events.publish_after_commit(Change.UPDATED, [lease.task_id for lease in progress])


@repeats_lock_conflicts
def release(leases: Sequence[Lease], now: datetime) -> int:
    """Give back tasks that have not begun: their attempt is not counted and they keep their place.

    Of one that was cancelled meanwhile nothing is left to stop. Returns how many tasks it concerned.
    """
    held = borne(leases)
    guard = bearing(held)
    released = [task for task in held.values() if task.status in MOVES["release"].sources]
    cancelled = [task for task in held.values() if task.status in (TaskStatus.CANCELLED, TaskStatus.PENDING)]
    places = held_among(held.values())
    for task in released:
        assign(task, now, attempts=task.attempts - 1, started_at=None, **NO_LEASE)
    columns = ["attempts", *return_to_line(released, now)]
    write(released, guard & Q(status__unindexed__in=MOVES["release"].sources), columns)
    _withdraw(cancelled, guard)
    return_after_commit(released, now)
    follow([*released, *free_all(places, now)])
    return len(held)


def _withdraw(tasks: Sequence[Task], guard: Q) -> None:
    """Forget the attempts of tasks that were cancelled since; one whose lease was lost was judged then."""
    rows = Task.objects.filter(guard, pk__in=[task.pk for task in tasks])
    rows.filter(lease_expires_at=None).update(**NO_LEASE)
    rows.filter(lease_expires_at__isnull=False).update(**UNCOUNTED)
