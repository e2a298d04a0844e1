"""The verb that records what attempts ended in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.statements import Found, Statement, write_and_judge
from tasks import audit, events, metrics
from tasks.domain import retry as retry_rules
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict, shortened
from tasks.domain.retry import RetryPolicy
from tasks.domain.states import MOVES, TaskStatus
from tasks.events import Change
from tasks.lifecycle import transitions
from tasks.lifecycle.dependencies import follow_ends
from tasks.lifecycle.effects import drop_after_commit, follow, hint_of
from tasks.lifecycle.freeing import free_all, held_among
from tasks.lifecycle.rows import (
    ENDED,
    NO_LEASE,
    PLACE,
    Jitter,
    assign,
    bearing,
    bears,
    ending_of,
    history,
    locked,
    make_wait,
    write,
)
from tasks.lifecycle.statements import completion_of
from tasks.models import Task
from tasks.webhooks import outbox


def settle(
    outcomes: Sequence[Outcome], policy: RetryPolicy, jitter: Jitter, now: datetime
) -> dict[Lease, OutcomeVerdict]:
    """Record what attempts ended in, each at most once and only from the holder; says for each how it was taken.

    A lease that has ended leaves its last holder the right to *complete* the task until somebody else claims it.
    A refused report is kept as evidence. `jitter` draws from 0 to 1 for the length of a backoff.
    """
    dear = [each for each in outcomes if each.locked]
    if 0 < len(dear) < len(outcomes):
        others = [each for each in outcomes if not each.locked]
        return settle(others, policy, jitter, now) | settle(dear, policy, jitter, now)
    results = {each.lease: each.result for each in outcomes if each.kind is OutcomeKind.COMPLETED}
    if len(results) == len(outcomes) and not dear and _complete_held(outcomes, results, now):
        moved = [lease.task_id for lease in results]
        transitions.completed(moved)
        events.publish_after_commit(Change.MOVED, moved)
        return dict.fromkeys(results, OutcomeVerdict.ACCEPTED)
    return _settle_each(outcomes, policy, jitter, now)


def _complete_held(outcomes: Sequence[Outcome], results: Mapping[Lease, Any], now: datetime) -> bool:
    """The usual case in one statement: all completed, all still held, no locks to free, nobody waits for them. If not, it
    undoes itself.
    """

    told = outbox.completions_of([lease.task_id for lease in results])

    def judge(found: Found) -> Sequence[Statement] | None:
        if found.count != len(outcomes):
            return None
        entered = Counter({(metrics.ENTERED, str(TaskStatus.COMPLETED)): found.count})
        observed = metrics.observed(metrics.RUN_SECONDS, [each.run_seconds for each in outcomes])
        return [metrics.addition(entered + observed), *told]

    return write_and_judge([completion_of(results, now)], judge)


@repeats_lock_conflicts
def _settle_each(
    outcomes: Sequence[Outcome], policy: RetryPolicy, jitter: Jitter, now: datetime
) -> dict[Lease, OutcomeVerdict]:
    by_lease = {each.lease: each for each in outcomes}
    verdicts = dict.fromkeys(by_lease, OutcomeVerdict.STALE_LEASE)
    taken: list[tuple[Task, Outcome]] = []
    evidence: list[audit.Ending] = []
    rows = {task.pk: task for task in locked(lease.task_id for lease in by_lease)}
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
                evidence.append(ending_of(task, lease, outcome.kind.lower(), outcome.error))
        else:
            said = f"a report of {outcome.kind} came after the lease was lost: {outcome.error}".rstrip(": ")
            evidence.append(ending_of(task, lease, "refused", said))
    settled = [task for task, _ in taken]
    held_by_them = held_among(settled)
    counts = _settle_rows(taken, policy, jitter, now)
    audit.record_endings(evidence, now)
    children = follow_ends(settled, now)
    follow([*settled, *children, *free_all(held_by_them, now)], counts)
    return verdicts


def _may_settle(task: Task, outcome: Outcome) -> bool:
    if not bears(task, outcome.lease):
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
    before = [hint_of(task) for task, _ in taken if task.status == TaskStatus.QUEUED]
    for task, outcome in taken:
        task.settled_token, task.settled_claim_id = outcome.lease.fencing_token, outcome.lease.claim_id
        if task.status != TaskStatus.PROCESSING and not task.begun:
            task.attempts += 1  # it was given back when the lease was lost, but the task ran
        if outcome.kind is OutcomeKind.COMPLETED:
            assign(task, now, status=TaskStatus.COMPLETED, result=outcome.result, error="", completed_at=now, **ENDED)
            completed.append(task)
        elif outcome.kind is OutcomeKind.DISCARDED:
            assign(task, now, status=TaskStatus.FAILED, error=shortened(outcome.error), completed_at=now, **ENDED)
            others.append(task)
        else:
            retried += _set_failed(task, outcome, policy, jitter, now)
            others.append(task)
    sources = MOVES["complete"].sources | MOVES["complete_late"].sources
    guard = bearing([outcome.lease for _, outcome in taken]) & Q(status__unindexed__in=sources)
    settled = ["settled_token", "settled_claim_id"]
    write(completed, guard, [*settled, "attempts", "result", "error"])
    write(others, guard, [*settled, "failures", "retries", "error", "scheduled_at", *PLACE, "completed_at"])
    drop_after_commit(before)
    run_seconds = [outcome.run_seconds for _, outcome in taken if outcome.kind is OutcomeKind.COMPLETED]
    return metrics.observed(metrics.RUN_SECONDS, run_seconds) + Counter({(metrics.RETRIES, ""): retried})


def _set_failed(task: Task, outcome: Outcome, policy: RetryPolicy, jitter: Jitter, now: datetime) -> bool:
    asked = None if outcome.retry_delay_seconds is None else timedelta(seconds=outcome.retry_delay_seconds)
    task.failures += 1
    task.error = shortened(outcome.error)
    sequel = retry_rules.after_failure(history(task), policy, jitter(), asked)
    if sequel.status is TaskStatus.DEAD_LETTER:
        assign(task, now, status=TaskStatus.DEAD_LETTER, completed_at=now, **ENDED)
        return False
    task.retries += 1
    make_wait(task, now + sequel.wait, now)
    assign(task, now, **NO_LEASE)
    return True
