"""Cancelling and retrying all tasks that meet a filter, and the only writer of the requests that do so.

A request of up to CHUNK tasks is done when it is answered, all or none. A larger one is kept as a row, and the scheduler goes
through its tasks in the order of their ids, CHUNK at a time, each chunk and the step of the row in one transaction. Each task is
judged again when it is its turn: it must still meet the filter, and it must have been in such a state before the request.

A request with a rate is always kept, and goes no faster than that, so that what comes back does not bury those who work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from uuid import UUID

from django.db.models import Count, Q

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import ids, repeats_lock_conflicts
from dtq_site.foundation.errors import BadInput
from tasks import lifecycle
from tasks.domain.rates import Rate, read_rate, take
from tasks.domain.states import MOVES
from tasks.filters import TaskFilter, from_json, to_json
from tasks.listing import TaskOrder, positions
from tasks.models import BulkRequest, Task

CHUNK = 1000
PREVIEWED = 5000
"""How many tasks a preview looks at."""


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
    paced: bool = False
    """Whether its rate says when the next one is due."""


@dataclass(frozen=True)
class Preview:
    """What a request would concern now: how many tasks of each (status, queue, name), the most first.

    `is_all` is False if there are more than were looked at.
    """

    groups: Sequence[tuple[str, str, str, int]]
    is_all: bool

    @property
    def count(self) -> int:
        """How many tasks, of those that were looked at."""
        return sum(group[-1] for group in self.groups)


def read_pace(text: str) -> Rate:
    """The rate at which a request is to be done, such as "10/s". Raises BadInput."""
    rate = read_rate(text, field="rate")
    in_a_second = 1_000_000 // rate.interval_us
    if in_a_second > CHUNK:
        raise BadInput(f"The rate {text!r} is above {CHUNK:,} a second; leave it out.", field="rate")
    return replace(rate, burst=max(1, in_a_second))


def preview(verb: BulkVerb, wanted: TaskFilter, now: datetime) -> Preview:
    """What `request` would concern, of the first PREVIEWED tasks that meet all but the text that is wanted."""
    narrowed = _narrowed(verb, wanted)
    found = _next(verb, narrowed, now, None, PREVIEWED + 1)
    rows = Task.objects.filter(narrowed.text_condition(), pk__in=found[:PREVIEWED])
    groups = rows.values_list("status", "queue", "name").annotate(tasks=Count("pk")).order_by("-tasks", "queue", "name")
    return Preview(list(groups), len(found) <= PREVIEWED)


def count(verb: BulkVerb, wanted: TaskFilter, now: datetime) -> int:
    """How many tasks match now."""
    wanted = _narrowed(verb, wanted)
    return Task.objects.filter(wanted.condition(), _before(verb, now)).count()


def request(verb: BulkVerb, wanted: TaskFilter, now: datetime, pace: Rate | None = None) -> Answer:
    """Do it, or keep it for the scheduler if it concerns many tasks or has a pace. Call it in a transaction."""
    narrowed = _narrowed(verb, wanted)
    if pace is None:
        chosen = _next(verb, narrowed, now, None, CHUNK + 1)
        if len(chosen) <= CHUNK:
            done = _do(verb, chosen, narrowed, now, now)
            return Answer(done, done)
    (id_,) = ids.new()
    rate = None if pace is None else str(pace)
    BulkRequest.objects.create(id=id_, verb=verb, filter=to_json(narrowed), requested_at=now, rate=rate)
    return Answer(count(verb, narrowed, now), 0)


def stop(request_id: UUID) -> BulkRequest | None:
    """Do no more of a kept request; returns it as it was, None if it has been finished meanwhile. Call it in a transaction."""
    kept = BulkRequest.objects.select_for_update().filter(pk=request_id).first()
    BulkRequest.objects.filter(pk=request_id).delete()
    return kept


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
    found = chosen = _next(verb, wanted, kept.requested_at, kept.last_id, CHUNK)
    pace, full_at_us, now_us = read_pace(kept.rate) if kept.rate else None, kept.full_at_us, milliseconds(now) * 1000
    if pace is not None:
        chosen = _first(found, wanted, take(pace, full_at_us, now_us, CHUNK)[0])
    done = _do(verb, chosen, wanted, kept.requested_at, now)
    if pace is not None:
        _, full_at_us = take(pace, full_at_us, now_us, done)
    finished = len(chosen) == len(found) < CHUNK
    if finished:
        BulkRequest.objects.filter(pk=request_id).delete()
    else:
        last_id = chosen[-1] if chosen else kept.last_id
        BulkRequest.objects.filter(pk=request_id).update(last_id=last_id, done=kept.done + done, full_at_us=full_at_us)
    return Step(verb, kept.done + done, finished, pace is not None)


def _first(found: Sequence[UUID], wanted: TaskFilter, allowed: int) -> Sequence[UUID]:
    """Those of the tasks up to which no more than `allowed` have the text that is wanted."""
    text = wanted.text_condition()
    hits = set(Task.objects.filter(text, pk__in=found).values_list("pk", flat=True)) if text else set(found)
    so_far = accumulate(task_id in hits for task_id in found)
    return [task_id for task_id, count in zip(found, so_far, strict=True) if count <= allowed]


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
