"""Cancelling and retrying all tasks that meet a filter, and the only writer of the requests that do so.

A request of up to CHUNK tasks is done when it is answered, all or none. A larger one is kept as a row, and the scheduler goes
through its tasks in the order of their ids, CHUNK at a time, each chunk and the step of the row in one transaction. Each task is
judged again when it is its turn: it must still meet the filter, and it must have been in such a state before the request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from dtq_site.foundation.database import ids, repeats_lock_conflicts
from tasks import lifecycle
from tasks.domain.states import MOVES
from tasks.filters import TaskFilter, from_json, to_json
from tasks.listing import TaskOrder, positions
from tasks.models import BulkRequest, Task

CHUNK = 1000


class BulkVerb(StrEnum):
    """What can be done to many tasks; the values are moves of the lifecycle."""

    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True)
class Answer:
    """How many tasks match, and how many of them are done; the scheduler does the others."""

    count: int
    done: int


@dataclass(frozen=True)
class Step:
    """A chunk of a kept request: how many tasks have been done so far, and whether that was the last one."""

    verb: BulkVerb
    done: int
    finished: bool


def count(verb: BulkVerb, wanted: TaskFilter, now: datetime) -> int:
    """How many tasks match now."""
    wanted = _narrowed(verb, wanted)
    return Task.objects.filter(wanted.condition(), _before(verb, now)).count()


def request(verb: BulkVerb, wanted: TaskFilter, now: datetime) -> Answer:
    """Do it, or keep it for the scheduler if it concerns many tasks. Call it in a transaction."""
    narrowed = _narrowed(verb, wanted)
    chosen = _next(verb, narrowed, now, None, CHUNK + 1)
    if len(chosen) <= CHUNK:
        done = _do(verb, chosen, narrowed, now, now)
        return Answer(done, done)
    (id_,) = ids.new()
    BulkRequest.objects.create(id=id_, verb=verb, filter=to_json(narrowed), requested_at=now)
    return Answer(count(verb, narrowed, now), 0)


def unfinished() -> list[UUID]:
    """The requests that are kept, in the order in which they came."""
    return list(BulkRequest.objects.order_by("id").values_list("pk", flat=True))


@repeats_lock_conflicts
def advance(request_id: UUID, now: datetime) -> Step | None:
    """Do the next chunk of a kept request; None if it has been finished meanwhile."""
    kept = BulkRequest.objects.select_for_update().filter(pk=request_id).first()
    if kept is None:
        return None
    verb, wanted = BulkVerb(kept.verb), from_json(kept.filter)
    chosen = _next(verb, wanted, kept.requested_at, kept.last_id, CHUNK)
    done = kept.done + _do(verb, chosen, wanted, kept.requested_at, now)
    finished = len(chosen) < CHUNK
    if finished:
        BulkRequest.objects.filter(pk=request_id).delete()
    else:
        BulkRequest.objects.filter(pk=request_id).update(last_id=chosen[-1], done=done)
    return Step(verb, done, finished)


_Verb = Callable[[Collection[UUID], Q, datetime], int]
_VERBS: dict[BulkVerb, _Verb] = {BulkVerb.CANCEL: lifecycle.cancel_all, BulkVerb.RETRY: lifecycle.retry_all}
_SINCE = {BulkVerb.CANCEL: "created_at", BulkVerb.RETRY: "completed_at"}
"""Since when a task has been one that the verb may concern."""


def _narrowed(verb: BulkVerb, wanted: TaskFilter) -> TaskFilter:
    return replace(wanted, status=wanted.statuses & MOVES[verb].sources)


def _before(verb: BulkVerb, requested_at: datetime) -> Q:
    return Q(**{f"{_SINCE[verb]}__lte": requested_at})


def _next(verb: BulkVerb, wanted: TaskFilter, requested_at: datetime, last_id: UUID | None, limit: int) -> list[UUID]:
    """The next tasks that may match; their text has not been looked at yet."""
    rows = Task.objects.filter(_before(verb, requested_at))
    after = None if last_id is None else (last_id,)
    return [id_ for (id_,) in positions(rows, wanted, TaskOrder.OLDEST, limit, after)]


def _do(verb: BulkVerb, chosen: Collection[UUID], wanted: TaskFilter, requested_at: datetime, now: datetime) -> int:
    return _VERBS[verb](chosen, wanted.condition() & _before(verb, requested_at), now) if chosen else 0
