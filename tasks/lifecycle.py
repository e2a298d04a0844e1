"""Every change of a task's state: one guarded verb each. Nothing else writes task rows.

A verb restates in its UPDATE every fact that justified the move, so what changed meanwhile is left alone, and it returns
the tasks that it won. Verbs over many rows lock them by key in one order first, decide, then update under the same guard.
What follows a move (the dispatch index, the sums of metrics) is arranged here too: the index after the commit, because it
must never know of a task that was rolled back.

`now` is the database's time (`foundation.database.database_clock`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from dtq_site.foundation import strict_json
from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import STATEMENT_BYTES, ids, repeats_lock_conflicts
from dtq_site.foundation.errors import Conflict, NotFound
from tasks import audit, metrics, queues
from tasks.domain import retry as retry_rules
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict, shortened
from tasks.domain.priority import rank, ready_ms
from tasks.domain.retry import History, RetryPolicy
from tasks.domain.states import MOVES, PROMOTABLE_HOLDS, TERMINAL, Hold, TaskStatus
from tasks.domain.submission import NewTask
from tasks.models import Queue, Task
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint

Jitter = Callable[[], float]

NO_LEASE: dict[str, Any] = {"lease_owner": None, "claim_id": None, "lease_expires_at": None, "begun": False}


@dataclass(frozen=True)
class Claim:
    """One request for work: who asks, under which id, and for how long."""

    id: UUID
    worker_id: UUID
    lease: timedelta


# --- creation ------------------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def create(new_tasks: Sequence[NewTask], now: datetime, task_ids: Sequence[UUID] | None = None) -> list[Task]:
    """Insert tasks, QUEUED or PENDING as their due time and hold say. Raises IntegrityError on a used idempotency key.

    `task_ids` lets a caller that may have to repeat the insert choose the ids beforehand.
    """
    queues.ensure((new.spec.queue for new in new_tasks), now)
    chosen = task_ids or ids.new(len(new_tasks))
    tasks = [_new_row(new, id_, now) for new, id_ in zip(new_tasks, chosen, strict=True)]
    for batch in by_weight([(task, _weight(task)) for task in tasks], STATEMENT_BYTES):
        Task.objects.bulk_create(batch, batch_size=500)
    _follow(tasks, metrics.created(tasks))
    return tasks


def _new_row(new: NewTask, id_: UUID, now: datetime) -> Task:
    spec = new.spec
    waits = new.hold is not Hold.NONE or (spec.scheduled_at is not None and spec.scheduled_at > now)
    ready_at = spec.scheduled_at if waits and spec.scheduled_at else now
    return Task(
        id=id_,
        team_id=new.team_id,
        user_id=new.user_id,
        schedule_id=new.schedule_id,
        idempotency_key=spec.idempotency_key,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        payload=spec.payload,
        queue=spec.queue,
        priority=spec.priority,
        max_retries=spec.max_retries,
        timeout_seconds=spec.timeout_seconds,
        status=TaskStatus.PENDING if waits else TaskStatus.QUEUED,
        hold=(new.hold or Hold.DUE) if waits else Hold.NONE,
        rank=rank(spec.priority, milliseconds(ready_at)),
        created_at=now,
        updated_at=now,
        scheduled_at=spec.scheduled_at,
        queued_at=None if waits else now,
    )


def _weight(task: Task) -> int:
    return len(strict_json.canonical(task.payload)) + len(task.description.encode())


# --- the way to a worker and back ----------------------------------------------------------------------------------


@repeats_lock_conflicts
def claim(
    task_ids: Collection[UUID],
    queue: str,
    names: Collection[str],
    claim: Claim,
    now: datetime,
    team_id: UUID | None = None,
) -> list[Task]:
    """Lease ready tasks to a worker: those of `task_ids` that are still QUEUED in that queue, which is not paused.

    Only rows that bear this claim's id count as won: a stale hint for a task that the same worker already runs is not.
    """
    paused = Queue.objects.filter(name=OuterRef("queue"), paused=True)
    guard = Q(pk__in=task_ids, status__in=MOVES["claim"].sources, queue=queue, name__in=names)
    if team_id is not None:
        guard &= Q(team_id=team_id)
    Task.objects.filter(guard, ~Exists(paused)).update(
        status=TaskStatus.PROCESSING,
        attempts=F("attempts") + 1,
        fencing_token=F("fencing_token") + 1,
        version=F("version") + 1,
        lease_owner=claim.worker_id,
        claim_id=claim.id,
        lease_expires_at=now + claim.lease,
        begun=False,
        progress=None,
        started_at=now,
        updated_at=now,
    )
    won = claimed_under(claim.id, task_ids)
    waits = [(now - task.queued_at).total_seconds() for task in won if task.queued_at]
    metrics.record(metrics.entered(won) + metrics.observed(metrics.WAIT_SECONDS, waits))
    return won


def claimed_under(claim_id: UUID, task_ids: Collection[UUID]) -> list[Task]:
    """The tasks that bear this claim's id, in order, with the columns that their worker needs."""
    held = Task.objects.filter(pk__in=task_ids, status=TaskStatus.PROCESSING, claim_id=claim_id).only(*_OF_A_CLAIM)
    return sorted(held, key=lambda task: (task.rank, task.id))


_OF_A_CLAIM = (
    *(
        "id",
        "rank",
        "status",
        "name",
        "payload",
        "attempts",
        "timeout_seconds",
        "max_retries",
        "lost_leases",
        "team_id",
    ),
    *("fencing_token", "claim_id", "queued_at"),
)


@repeats_lock_conflicts
def mark_begun(leases: Sequence[Lease], now: datetime) -> set[Lease]:
    """Note that these attempts have started; returns the leases that are still held."""
    held = {lease for lease, task in _borne(leases).items() if task.status == TaskStatus.PROCESSING}
    Task.objects.filter(_guard(held), status=TaskStatus.PROCESSING).update(begun=True, updated_at=now)
    return held


@repeats_lock_conflicts
def renew(leases: Sequence[Lease], length: timedelta, now: datetime) -> dict[Lease, RenewalVerdict]:
    """Extend leases; says for each whether it was renewed, is lost, or belongs to a task that was cancelled."""
    verdicts = dict.fromkeys(leases, RenewalVerdict.LOST)
    for lease, task in _borne(leases).items():
        if task.status == TaskStatus.PROCESSING:
            verdicts[lease] = RenewalVerdict.RENEWED
        elif task.lease_expires_at is not None:
            verdicts[lease] = RenewalVerdict.CANCELLED
    renewed = [lease for lease, verdict in verdicts.items() if verdict is RenewalVerdict.RENEWED]
    Task.objects.filter(_guard(renewed), status=TaskStatus.PROCESSING).update(lease_expires_at=now + length)
    return verdicts


@repeats_lock_conflicts
def note_progress(progress: Mapping[Lease, int], now: datetime) -> None:
    """Keep how far handlers say they are, in per cent, where the lease is still theirs."""
    for lease, percent in progress.items():
        Task.objects.filter(_guard([lease]), status=TaskStatus.PROCESSING).update(
            progress=percent, version=F("version") + 1, updated_at=now
        )


@repeats_lock_conflicts
def release(leases: Sequence[Lease], now: datetime) -> int:
    """Give back tasks that have not begun: their attempt is not counted and they keep their place.

    For a task that was cancelled this is its worker's word that it has stopped. Returns how many tasks it concerned.
    """
    borne = _borne(leases)
    guard = _guard(borne)
    released = [task for task in borne.values() if task.status in MOVES["release"].sources]
    stopped = [task.pk for task in borne.values() if task.status in (TaskStatus.CANCELLED, TaskStatus.PENDING)]
    for task in released:
        _set(task, now, status=TaskStatus.QUEUED, attempts=task.attempts - 1, started_at=None, **NO_LEASE)
    _write(released, guard & Q(status__in=MOVES["release"].sources), ["attempts"])
    Task.objects.filter(guard, pk__in=stopped).update(**NO_LEASE)
    _follow(released)
    return len(borne)


# --- outcomes ------------------------------------------------------------------------------------------------------


def settle(
    outcomes: Sequence[Outcome], policy: RetryPolicy, jitter: Jitter, now: datetime
) -> dict[Lease, OutcomeVerdict]:
    """Record what attempts ended in, each at most once and only from the holder; says for each how it was taken.

    A lease that has ended leaves its last holder the right to *complete* the task until somebody else claims it.
    A refused report is kept as evidence. `jitter` draws from 0 to 1 for the length of a backoff.
    """
    results = {each.lease.task_id: each.result for each in outcomes if each.kind is OutcomeKind.COMPLETED}
    if len(results) == len(outcomes):
        with suppress(_NotAllHeld):
            return _complete_held(outcomes, results, now)
    return _settle_each(outcomes, policy, jitter, now)


class _NotAllHeld(Exception):
    """Some of the leases are not held (any more); nothing was written."""


@repeats_lock_conflicts
def _complete_held(
    outcomes: Sequence[Outcome], results: Mapping[UUID, Any], now: datetime
) -> dict[Lease, OutcomeVerdict]:
    """The usual case in one statement: all completed, all still held. Raises _NotAllHeld, which undoes it."""
    held = Task.objects.filter(_guard([each.lease for each in outcomes]), status__in=MOVES["complete"].sources)
    written = held.update(
        status=TaskStatus.COMPLETED,
        result=_values("result", results),
        error="",
        completed_at=now,
        updated_at=now,
        settled_token=F("fencing_token"),
        version=F("version") + 1,
        **_ENDED,
    )
    if written != len(outcomes):
        raise _NotAllHeld
    entered = Counter({(metrics.ENTERED, str(TaskStatus.COMPLETED)): written})
    metrics.record(entered + metrics.observed(metrics.RUN_SECONDS, [each.run_seconds for each in outcomes]))
    return dict.fromkeys([each.lease for each in outcomes], OutcomeVerdict.ACCEPTED)


@repeats_lock_conflicts
def _settle_each(
    outcomes: Sequence[Outcome], policy: RetryPolicy, jitter: Jitter, now: datetime
) -> dict[Lease, OutcomeVerdict]:
    by_lease = {each.lease: each for each in outcomes}
    verdicts = dict.fromkeys(by_lease, OutcomeVerdict.STALE_LEASE)
    taken: list[tuple[Task, Outcome]] = []
    evidence: list[audit.Ending] = []
    rows = {task.pk: task for task in _locked(lease.task_id for lease in by_lease)}
    for lease, outcome in by_lease.items():
        task = rows.get(lease.task_id)
        if task is None:
            continue
        if 0 < task.settled_token == lease.fencing_token:
            verdicts[lease] = OutcomeVerdict.DUPLICATE
        elif _may_settle(task, outcome):
            verdicts[lease] = OutcomeVerdict.ACCEPTED
            taken.append((task, outcome))
            if outcome.kind is not OutcomeKind.COMPLETED:
                evidence.append(_ending(task, lease, outcome.kind.lower(), outcome.error))
        else:
            said = f"a report of {outcome.kind} came after the lease was lost: {outcome.error}".rstrip(": ")
            evidence.append(_ending(task, lease, "refused", said))
    counts = _settle_rows(taken, policy, jitter, now)
    audit.record_endings(evidence, now)
    _follow([task for task, _ in taken], counts)
    return verdicts


def _may_settle(task: Task, outcome: Outcome) -> bool:
    if not _bears(task, outcome.lease):
        return False
    if task.status in MOVES["complete"].sources:
        return True
    late = task.status in MOVES["complete_late"].sources and task.lease_expires_at is None
    return late and outcome.kind is OutcomeKind.COMPLETED


def _settle_rows(
    taken: Sequence[tuple[Task, Outcome]], policy: RetryPolicy, jitter: Jitter, now: datetime
) -> Counter[tuple[str, str]]:
    completed, others = [], []
    retried = 0
    before = [_hint(task) for task, _ in taken if task.status == TaskStatus.QUEUED]
    for task, outcome in taken:
        task.settled_token = outcome.lease.fencing_token
        if task.status != TaskStatus.PROCESSING and not task.begun:
            task.attempts += 1  # it was given back when the lease was lost, but the task ran
        if outcome.kind is OutcomeKind.COMPLETED:
            _set(task, now, status=TaskStatus.COMPLETED, result=outcome.result, error="", completed_at=now, **_ENDED)
            completed.append(task)
        elif outcome.kind is OutcomeKind.DISCARDED:
            _set(task, now, status=TaskStatus.FAILED, error=shortened(outcome.error), completed_at=now, **_ENDED)
            others.append(task)
        else:
            retried += _set_failed(task, outcome, policy, jitter, now)
            others.append(task)
    sources = MOVES["complete"].sources | MOVES["complete_late"].sources
    guard = _guard([outcome.lease for _, outcome in taken]) & Q(status__in=sources)
    _write(completed, guard, ["settled_token", "attempts", "result", "error"])
    _write(others, guard, ["settled_token", "failures", "retries", "error", "scheduled_at", "rank", "completed_at"])
    _drop_after_commit(before)
    run_seconds = [outcome.run_seconds for _, outcome in taken if outcome.kind is OutcomeKind.COMPLETED]
    return metrics.observed(metrics.RUN_SECONDS, run_seconds) + Counter({(metrics.RETRIES, ""): retried})


_ENDED: dict[str, Any] = {"hold": Hold.NONE, **NO_LEASE}


def _set_failed(task: Task, outcome: Outcome, policy: RetryPolicy, jitter: Jitter, now: datetime) -> bool:
    asked = None if outcome.retry_delay_seconds is None else timedelta(seconds=outcome.retry_delay_seconds)
    task.failures += 1
    task.error = shortened(outcome.error)
    sequel = retry_rules.after_failure(_history(task), policy, jitter(), asked)
    if sequel.status is TaskStatus.DEAD_LETTER:
        _set(task, now, status=TaskStatus.DEAD_LETTER, completed_at=now, **_ENDED)
        return False
    task.retries += 1
    _set_waiting(task, now + sequel.wait, now)
    _set(task, now, **NO_LEASE)
    return True


# --- upkeep --------------------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def promote(now: datetime, limit: int = 1000) -> int:
    """Make PENDING tasks ready that are due and that nothing holds back; returns how many."""
    due = _due(now)
    chosen = Task.objects.filter(due).order_by("scheduled_at")[:limit].values_list("pk", flat=True)
    tasks = _locked(list(chosen), due)
    for task in tasks:
        _forget_cancelled_attempt(task, now)
        _set(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE, queued_at=now)
    _write(tasks, due, [])
    _follow(tasks)
    return len(tasks)


def next_due() -> datetime | None:
    """When the next waiting task is due, or None if none waits for a moment."""
    waiting = Task.objects.filter(status=TaskStatus.PENDING, hold__in=PROMOTABLE_HOLDS).order_by("scheduled_at")
    return waiting.values_list("scheduled_at", flat=True).first()


def _due(now: datetime) -> Q:
    # A cancelled task that was retried must not run beside the worker that has not heard of it yet.
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    return Q(status__in=MOVES["promote"].sources, hold__in=PROMOTABLE_HOLDS, scheduled_at__lte=now) & free


@repeats_lock_conflicts
def reap(policy: RetryPolicy, jitter: Jitter, now: datetime, limit: int = 500) -> list[Task]:
    """Take back tasks whose lease has ended; returns them.

    The claim's id, and whether it had begun, stay on the row: until somebody claims the task again, its last holder may
    still complete it.
    """
    ended = Q(status__in=MOVES["reap"].sources, lease_expires_at__lt=now)
    chosen = Task.objects.filter(ended).order_by("lease_expires_at")[:limit].values_list("pk", flat=True)
    tasks = _locked(list(chosen), ended)
    endings = [_ending(task, _lease_of(task), "lost", _LOST) for task in tasks]
    for task in tasks:
        _set_lost(task, policy, jitter, now)
    columns = ["attempts", "lost_leases", "error", "scheduled_at", "rank", "queued_at", "completed_at", "claim_id"]
    _write(tasks, ended, columns)
    audit.record_endings(endings, now)
    _follow(tasks, Counter({(metrics.LOST_LEASES, ""): len(tasks)}))
    return tasks


_LOST = "worker lost: it stopped renewing its lease"


def _set_lost(task: Task, policy: RetryPolicy, jitter: Jitter, now: datetime) -> None:
    claim_id, begun = task.claim_id, task.begun
    if begun:
        task.lost_leases += 1
    else:
        # Nothing is charged, but from now on its start is noted before it happens, so that the next loss tells the truth.
        task.attempts -= 1
        task.lost_leases = max(task.lost_leases, 1)
    sequel = retry_rules.after_lost_lease(_history(task), begun, policy, jitter())
    if sequel.status is TaskStatus.DEAD_LETTER:
        _set(task, now, status=TaskStatus.DEAD_LETTER, error=_LOST, completed_at=now, **_ENDED)
        return
    if sequel.status is TaskStatus.QUEUED:
        _set_ready(task, now)
    else:
        _set_waiting(task, now + sequel.wait, now)
    _set(task, now, **{**NO_LEASE, "claim_id": claim_id, "begun": begun})


@repeats_lock_conflicts
def release_occurrence(task_id: UUID, now: datetime) -> bool:
    """Make the coming occurrence of a schedule ready; False if it is none (any more), as after its cancellation."""
    guard = Q(status=TaskStatus.PENDING, hold=Hold.SCHEDULE)
    tasks = _locked([task_id], guard)
    for task in tasks:
        _set(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE, queued_at=now)
    _write(tasks, guard, [])
    _follow(tasks)
    return bool(tasks)


@repeats_lock_conflicts
def withdraw_occurrence(task_id: UUID) -> bool:
    """Remove the coming occurrence of a schedule, its idempotency key with it; False if it is none (any more)."""
    guard = Q(status__in=MOVES["withdraw"].sources, hold=Hold.SCHEDULE)
    if not _locked([task_id], guard):
        return False
    audit.forget([task_id])
    return bool(_erase(Task.objects.filter(guard, pk=task_id)))


@repeats_lock_conflicts
def remove_ended(statuses: Collection[TaskStatus], before: datetime, limit: int) -> int:
    """Delete tasks that ended before a moment, a chunk at a time; returns how many."""
    old = Q(status__in=TERMINAL.intersection(statuses), completed_at__lt=before)
    chosen = list(Task.objects.filter(old).values_list("pk", flat=True)[:limit])
    found = [task.pk for task in _locked(chosen, old)]
    audit.forget(found)
    return _erase(Task.objects.filter(old, pk__in=found))


# --- what people ask for -------------------------------------------------------------------------------------------


@repeats_lock_conflicts
def cancel(task_id: UUID, now: datetime) -> Task:
    """End a task that has not ended. A running one is CANCELLED at once; its worker learns with its next renewal.

    Cancelling a cancelled task returns it. Raises NotFound, or Conflict for any other task that has ended.
    """
    task = _the(task_id)
    if task.status == TaskStatus.CANCELLED:
        return task
    _require(task, "cancel", "has ended already")
    hint = _hint(task) if task.status == TaskStatus.QUEUED else None
    held = task.lease_expires_at is not None  # by the attempt that runs, or by one that was cancelled before a retry
    _set(task, now, status=TaskStatus.CANCELLED, hold=Hold.NONE, completed_at=now, **({} if held else NO_LEASE))
    _write(
        [task], Q(status__in=MOVES["cancel"].sources), ["completed_at", "lease_owner", "claim_id", "lease_expires_at"]
    )
    _drop_after_commit([hint] if hint else [])
    _follow([task])
    return task


@repeats_lock_conflicts
def retry(task_id: UUID, now: datetime) -> Task:
    """Run an ended task again, now, with all its attempts anew. Raises NotFound, or Conflict from another state."""
    task = _the(task_id)
    _require(task, "retry", "is not FAILED, DEAD_LETTER or CANCELLED")
    task.earlier_attempts, task.failures, task.lost_leases = task.attempts, 0, 0
    task.scheduled_at = now
    _set_ready_or_waiting(task, now, now)
    _set(task, now, error="", result=None, progress=None, started_at=None, completed_at=None)
    columns = ["earlier_attempts", "failures", "lost_leases", "scheduled_at", "rank", "queued_at", "error", "result"]
    columns += ["progress", "started_at", "completed_at"]
    _write([task], Q(status__in=MOVES["retry"].sources), columns)
    _follow([task])
    return task


@repeats_lock_conflicts
def update(task_id: UUID, changes: Mapping[str, Any], now: datetime) -> Task:
    """Change checked columns of a task that has not started. Raises NotFound, or Conflict once it has.

    A new `scheduled_at` in the future makes a QUEUED task wait again; one in the past makes a waiting task ready.
    """
    task = _the(task_id)
    _require(task, "update", "has started or ended; only a PENDING or QUEUED one can be changed")
    if task.hold == Hold.SCHEDULE:
        raise Conflict("This task is the coming occurrence of a schedule; change the schedule instead.")
    queues.ensure([changes.get("queue", task.queue)], now)
    before, hint = task.status, _hint(task)
    moment = ready_ms(task.priority, task.rank)
    _set(task, now, **changes)
    if task.lease_expires_at is None:  # what the holder of a lost lease has run is no longer what is asked for
        _set(task, now, **NO_LEASE)
    task.rank = rank(task.priority, moment)
    due = max(task.scheduled_at or now, now)
    if "scheduled_at" in changes and (due > now or before == TaskStatus.PENDING):
        _set_ready_or_waiting(task, due, now)
    columns = [*changes, "rank", "queued_at"]
    _write([task], Q(status__in=MOVES["update"].sources), columns)
    _drop_after_commit([hint] if before == TaskStatus.QUEUED else [])
    _follow([task] if task.status != before else [])
    _add_after_commit([task])
    return task


@repeats_lock_conflicts
def delete(task_id: UUID) -> None:
    """Remove a task that has ended, with all that is remembered of it. Raises NotFound, or Conflict before its end."""
    task = _the(task_id)
    _require(task, "delete", "has not ended; cancel it first")
    audit.forget([task_id])
    _erase(Task.objects.filter(pk=task_id, status__in=MOVES["delete"].sources))


# --- how rows are locked, judged and written -----------------------------------------------------------------------


def _locked(task_ids: Iterable[UUID], guard: Q | None = None) -> list[Task]:
    return list(Task.objects.select_for_update().filter(guard or Q(), pk__in=list(task_ids)).order_by("pk"))


def _borne(leases: Iterable[Lease]) -> dict[Lease, Task]:
    """Those of the leases that their rows bear, with the locked rows: of several for one task, one at most."""
    rows = {task.pk: task for task in _locked(lease.task_id for lease in leases)}
    found = ((lease, rows.get(lease.task_id)) for lease in leases)
    return {lease: task for lease, task in found if task is not None and _bears(task, lease)}


def _the(task_id: UUID) -> Task:
    for task in _locked([task_id]):
        return task
    raise NotFound(f"There is no task {task_id}.")


def _require(task: Task, verb: str, otherwise: str) -> None:
    if task.status not in MOVES[verb].sources:
        raise Conflict(f"The task is {task.status}: it {otherwise}.", status=task.status)


def _bears(task: Task, lease: Lease) -> bool:
    return task.fencing_token == lease.fencing_token and task.claim_id == lease.claim_id


def _guard(leases: Collection[Lease]) -> Q:
    """Rows that bear these leases, one for each task.

    Tokens are paired with their tasks: the same worker's newer claim may have won one of the tasks of an older one. A task
    and a token name one claim, so its id need not be.
    """
    return Q(
        pk__in=[lease.task_id for lease in leases],
        fencing_token=_values("fencing_token", {lease.task_id: lease.fencing_token for lease in leases}),
        claim_id__in={lease.claim_id for lease in leases},
    )


def _lease_of(task: Task) -> Lease:
    return Lease(task.pk, task.fencing_token, task.claim_id)


def _history(task: Task) -> History:
    return History(task.attempts - task.earlier_attempts, task.failures, task.lost_leases, task.max_retries)


def _ending(task: Task, lease: Lease, ending: str, error: str) -> audit.Ending:
    return audit.Ending(task.pk, task.attempts, lease.fencing_token, task.lease_owner, ending, error)


def _set(task: Task, now: datetime, **values: Any) -> None:
    for column, value in values.items():
        setattr(task, column, value)
    task.updated_at = now


def _set_ready(task: Task, now: datetime) -> None:
    _set(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE, queued_at=now)
    task.rank = rank(task.priority, milliseconds(now))


def _set_ready_or_waiting(task: Task, due: datetime, now: datetime) -> None:
    """Make the task ready, unless it is due later or its cancelled attempt may still run."""
    still_held = task.lease_expires_at is not None and task.lease_expires_at > now
    if still_held or due > now:
        _set_waiting(task, due, now, Hold.DUE)
    else:
        _forget_cancelled_attempt(task, now)
        _set_ready(task, now)


def _forget_cancelled_attempt(task: Task, now: datetime) -> None:
    """Outside of PROCESSING only a cancelled attempt has a lease; a lost one has left its claim's id alone."""
    if task.lease_expires_at is not None:
        _set(task, now, **NO_LEASE)


def _set_waiting(task: Task, until: datetime, now: datetime, hold: Hold = Hold.BACKOFF) -> None:
    _set(task, now, status=TaskStatus.PENDING, hold=hold, queued_at=None, scheduled_at=until)
    task.rank = rank(task.priority, milliseconds(until))


_ALWAYS = ("status", "hold", "updated_at", "begun", "lease_owner", "claim_id", "lease_expires_at")
_MOMENTS = ("queued_at", "started_at", "completed_at")


def _write(tasks: Sequence[Task], guard: Q, columns: Sequence[str]) -> None:
    """Write the named columns, and those that any move may set, in one statement.

    The rows are locked and were read under `guard`; the statement restates it all the same, and a row that it misses
    is a defect that must not pass in silence.
    """
    if not tasks:
        return
    for task in tasks:
        task.version += 1
    named = dict.fromkeys([*_ALWAYS, *_MOMENTS, *columns])
    values = {column: _values(column, {task.pk: getattr(task, column) for task in tasks}) for column in named}
    written = Task.objects.filter(guard, pk__in=[task.pk for task in tasks]).update(**values, version=F("version") + 1)
    if written != len(tasks):
        raise RuntimeError(f"{len(tasks) - written} locked tasks escaped their guard")


def _values(column: str, by_key: Mapping[UUID, Any]) -> Any:
    """The value that all rows share, else an expression that chooses by key."""
    # To Python 1, 1.0 and True are equal; to JSON they are not.
    if len({repr(value) for value in by_key.values()}) == 1:
        return next(iter(by_key.values()))
    # Django's own `Case` costs a hundred times as much to build.
    key, field = Task._meta.pk, Task._meta.get_field(column)
    parameters: list[Any] = []
    for pk, value in by_key.items():
        parameters += [key.get_db_prep_save(pk, connection), field.get_db_prep_save(value, connection)]
    name = connection.ops.quote_name(key.column)
    return RawSQL(f"CASE {name} {'WHEN %s THEN %s ' * len(by_key)}END", parameters)


def _erase(rows: QuerySet[Task]) -> int:
    """Delete rows of which nothing is remembered; Django's `delete` would look for that, and write, in the tables of others."""
    return rows._raw_delete(rows.db) or 0


# --- what follows a move -------------------------------------------------------------------------------------------


def _hint(task: Task) -> Hint:
    return Hint(task.rank, task.pk, task.queue, task.name)


def _follow(tasks: Sequence[Task], counts: Mapping[tuple[str, str], float] | None = None) -> None:
    metrics.record(metrics.entered(tasks) + Counter(counts or {}))
    _add_after_commit(tasks)


def _add_after_commit(tasks: Sequence[Task]) -> None:
    ready = [_hint(task) for task in tasks if task.status == TaskStatus.QUEUED]
    if ready:
        transaction.on_commit(lambda: redis_index().add(ready), robust=True)


def _drop_after_commit(hints: Iterable[Hint]) -> None:
    gone = list(hints)
    if gone:
        transaction.on_commit(lambda: redis_index().drop(gone), robust=True)
