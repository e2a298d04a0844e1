"""Why a limit keeps a task from running, and until when. A part of `explanation.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tasks import limit_line, limits
from tasks.domain import rates
from tasks.domain.limits import Kind, Limit, Rule, Scope
from tasks.domain.rates import Rate
from tasks.domain.reasons import Reason, ReasonCode
from tasks.domain.states import Hold, TaskStatus
from tasks.models import Task
from tasks.tokens import microseconds, tokens


def explain(task: Task, now: datetime) -> Iterator[Reason]:
    """The limit for which a task waits; of one that is ready, those that would make it wait now."""
    waits = task.status == TaskStatus.PENDING and task.hold == Hold.LIMIT
    if not waits and task.status != TaskStatus.QUEUED:
        return
    limits.refresh()
    awaited = limit_line.awaited_by([task.pk]).get(task.pk) if waits else None
    for limit, rule in sorted(
        limits.applying_to(task.queue, task.name, task.limit_key).items(), key=lambda item: item[0]
    ):
        if limit == awaited or not waits:
            yield from _reasons(task, limit, rule, now, waits=waits)


def _reasons(task: Task, limit: Limit, rule: Rule, now: datetime, *, waits: bool) -> Iterator[Reason]:
    ahead = limit_line.ahead_of(task, limit)
    before = f" {ahead:,} {'waits' if ahead == 1 else 'wait'} before it." if ahead else ""
    queue = limit.name if limit.scope is Scope.QUEUE else None
    if limit.kind is Kind.CAP:
        running = limit_line.running([limit], now)[limit]
        if waits or ahead or running >= (rule.cap or 0):
            message = f"{_subject(limit)} at most {rule.cap:,} may run at a time, and {running:,} do.{before}"
            yield Reason(ReasonCode.CONCURRENCY_LIMIT, message, queue=queue)
    elif rule.rate is not None:
        until = _turn(limit, rule.rate, ahead, now)
        if waits or until > now:
            turn = f"Its turn is at {until:%Y-%m-%d %H:%M:%S} UTC."
            message = f"{_subject(limit)} no more than {rule.rate} may start.{before} {turn}"
            yield Reason(ReasonCode.RATE_LIMIT, message, until=until, queue=queue)


def _turn(limit: Limit, rate: Rate, ahead: int, now: datetime) -> datetime:
    """When there is a token for a task that lets so many others go ahead."""
    now_us = microseconds(now)
    full_at = now_us + tokens().look({limit: rate}, now)[limit].full_in_us
    return now + timedelta(microseconds=rates.token_at(rate, full_at, now_us, ahead) - now_us)


def _subject(limit: Limit) -> str:
    """Of what there may be so many."""
    if limit.scope is Scope.QUEUE:
        return f"Of the tasks of its queue {limit.name!r}"
    return f"Of the tasks for {limit.name!r}" + (f" with {limit.key!r}" if limit.key else "")
