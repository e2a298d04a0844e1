"""How workers get tasks: hints from the dispatch index, or the rows while it is lost, shared among queues by weight.

The guarded claim of the lifecycle decides who has won what. Reached through `gateway.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import Error

from dtq_site.foundation.backoff import full_jitter, jitter
from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.database import database_clock
from tasks import lifecycle, limit_line
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.limits import Scope
from tasks.domain.states import Hold, TaskStatus
from tasks.lifecycle import Claim, ClaimedTask
from tasks.models import Task
from tasks.queue.dispatch import database_index, redis_index
from tasks.queue.index import Hint, IndexLost
from workers.domain.shares import shares
from workers.open_queues import forget_queues, note_ring, open_queues, with_hints, with_ready_rows

MOST_HINTS = 1000
_LONGEST_QUEUES_SECONDS = 2.0
_ROW_TRIES = 4
_PARKING_SECONDS = 0.25
"""For how long a claim passes over tasks of a queue that have to wait: then other queues have their turn."""


@dataclass(frozen=True)
class Caller:
    """A worker at the door. No `queues` means all; a `team_id` confines it to that team's tasks."""

    worker_id: UUID
    names: frozenset[str]
    queues: frozenset[str] = frozenset()
    team_id: UUID | None = None


Later = Callable[[Callable[[], None]], None]


def _at_once(call: Callable[[], None]) -> None:
    call()


def claim(
    caller: Caller,
    claim_id: UUID,
    limit: int,
    lease: timedelta,
    *,
    from_database: bool = False,
    repeated: bool = False,
    later: Later = _at_once,
    clock: Clock = database_clock,
) -> list[LeasedTask]:
    """Lease up to `limit` ready tasks to the caller, of each queue its share by weight, each queue in its own order.

    What a queue lacks of its share the others give. A `repeated` request, one whose answer may have been lost, is answered
    with the tasks that its claim has won already, if there are any, for as long as their leases last. `later` is handed
    what the index must be told and nobody waits for: to be called within a second.
    """
    wanted = Claim(claim_id, caller.worker_id, lease)
    if repeated and (held := lifecycle.claimed_before(wanted, clock.now())):
        return [_leased(task, remaining) for task, remaining in held]
    weights, from_rows = _where_to_ask(caller, from_database or caller.team_id is not None)
    won: list[ClaimedTask] = []
    try:
        while weights and len(won) < limit:
            for queue, share in shares(limit - len(won), weights, jitter()).items():
                if from_rows:
                    found = _claim_rows(caller, queue, share, wanted, clock)
                else:
                    found = _claim_from_index(caller, queue, share, wanted, {task.pk for task in won}, later, clock)
                won += found
                if len(found) < share:
                    del weights[queue]
    except Exception:
        if not won:
            raise  # else what is leased must reach its worker; an error that lasts is met again by the next claim
    return [_leased(task, lease) for task in won]


def _where_to_ask(caller: Caller, from_rows: bool) -> tuple[dict[str, int], bool]:
    """The queues with their weights, and whether to ask the rows: also if the index is lost."""
    weights = open_queues(caller.queues, _LONGEST_QUEUES_SECONDS)
    if not from_rows:
        with suppress(IndexLost):
            return with_hints(weights, caller.names), False
    return with_ready_rows(weights), True


def _claim_from_index(
    caller: Caller, queue: str, limit: int, wanted: Claim, held: Collection[UUID], later: Later, clock: Clock
) -> list[ClaimedTask]:
    try:
        return _claim_hinted(caller, queue, limit, wanted, held, later, clock)
    except IndexLost:
        return _claim_rows(caller, queue, limit, wanted, clock)


def wait(caller: Caller, timeout_seconds: float) -> None:
    """Sleep until work may be there for the caller, or until the time is over."""
    served = open_queues(caller.queues)
    queues = served.keys() if caller.queues else None
    try:
        rung = redis_index().wait(queues, caller.names, timeout_seconds)
    except IndexLost:
        rung = database_index.wait(queues, caller.names, timeout_seconds)
    if rung is not None:
        note_ring(rung)


def _claim_hinted(
    caller: Caller, queue: str, limit: int, wanted: Claim, held: Collection[UUID], later: Later, clock: Clock
) -> list[ClaimedTask]:
    """Claim what the index hints at. Hints that all prove stale are drained by asking for twice as many.

    What the claim has `held` since an earlier round bears its id, and would be won once more when a repair of the index
    has just put it back.
    """
    index = redis_index()
    ask, names, until = limit, caller.names, elapsed_clock() + _PARKING_SECONDS
    while names and (hints := index.take(queue, names, ask, taker=caller.worker_id)):
        chosen = _still_ready(hints)[:limit] if ask > limit else hints
        fresh = [hint.id for hint in chosen if hint.id not in held]
        won = lifecycle.claim(fresh, queue, names, wanted, clock.now())
        taken = {task.pk for task in won}
        if len(won) == len(hints):
            later(lambda hints=hints: index.confirm(hints))
            return won
        try:
            left = _give_back([hint for hint in hints if hint.id not in taken], hints)
        except Error:
            if won:  # its hand-over unconfirmed, the index takes the others back by itself
                return won
            raise
        if won:
            return won
        if parked := _parked(chosen):
            names = _behind(parked, names) if elapsed_clock() < until else frozenset()
            continue
        if left:  # ready, and refused all the same: the queue was paused a moment ago
            forget_queues()
            return []
        ask = min(ask * 2, MOST_HINTS)
    return []


def _give_back(refused: list[Hint], taken: list[Hint]) -> list[Hint]:
    """End the hand-over of all that was taken, with those in line that were refused and are ready all the same: the answer."""
    index = redis_index()
    left = _still_ready(refused)
    index.confirm(taken)
    index.add(left)
    # One that had to wait for a lock or a limit may have been called and be on its way to somebody else by now. To confirm ended
    # that hand-over too, which would have brought it back if he fails.
    if others := [hint for hint in refused if hint not in left]:
        index.add(_still_ready(others))
    return left


def _claim_rows(caller: Caller, queue: str, limit: int, wanted: Claim, clock: Clock) -> list[ClaimedTask]:
    """Claim the first rows. Whoever asks meanwhile is shown the same: who wins none of them lets the others go ahead."""
    attempt, names, until = 0, caller.names, elapsed_clock() + _PARKING_SECONDS
    while names and attempt < _ROW_TRIES:
        hints = database_index.take(queue, names, limit, team_id=caller.team_id)
        if not hints:
            return []
        won = lifecycle.claim([hint.id for hint in hints], queue, names, wanted, clock.now(), caller.team_id)
        if won:
            taken = {task.pk for task in won}
            redis_index().drop([hint for hint in hints if hint.id in taken])
            return won
        if parked := _parked(hints):
            names = _behind(parked, names) if elapsed_clock() < until else frozenset()
            continue
        attempt += 1
        forget_queues()  # or they were refused because the queue was paused a moment ago
        if queue not in open_queues(caller.queues):
            return []
        time.sleep(full_jitter(attempt, base_seconds=0.002, cap_seconds=0.05))
    return []


def _parked(hints: list[Hint]) -> list[tuple[UUID, str, str]]:
    """Those that have left the line to wait for a lock or a limit: id, name, and what they wait for."""
    rows = Task.objects.filter(pk__in=[hint.id for hint in hints], status=TaskStatus.PENDING)
    return list(rows.filter(hold__in=(Hold.LOCK, Hold.LIMIT)).values_list("pk", "name", "hold"))


def _behind(parked: list[tuple[UUID, str, str]], names: frozenset[str]) -> frozenset[str]:
    """The names of which tasks that stand behind these may run: none once the queue's limit is met, nor a handler's."""
    met = limit_line.awaited_by([task_id for task_id, _, hold in parked if hold == Hold.LIMIT]).values()
    if any(limit.scope is Scope.QUEUE for limit in met):
        return frozenset()
    return names - {limit.name for limit in met if not limit.key}


def _still_ready(hints: list[Hint]) -> list[Hint]:
    rows = Task.objects.filter(pk__in=[hint.id for hint in hints], status=TaskStatus.QUEUED)
    ready = {Hint(*row) for row in rows.values_list("rank", "id", "queue", "name")}
    return [hint for hint in hints if hint in ready]


def _leased(task: ClaimedTask, lease: timedelta) -> LeasedTask:
    return LeasedTask(
        lease=Lease(task.pk, task.fencing_token, task.claim_id),
        name=task.name,
        payload=task.payload,
        attempt=task.attempts,
        timeout_seconds=task.timeout_seconds,
        lease_seconds=lease.total_seconds(),
        begin_first=task.max_retries == 0 or task.lost_leases > 0,
        team_id=task.team_id,
        lock=task.lock,
        lock_fencing_number=task.lock_fencing_number,
        when_lost=task.when_lost,
        capped=task.capped,
        queue=task.queue,
        request_id=task.request_id,
        traceparent=task.traceparent,
    )
