"""How rows are locked, judged and written: what all verbs share. Only this package imports it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Least

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.errors import Conflict, NotFound
from tasks import audit, queues
from tasks.domain.lease import Lease
from tasks.domain.priority import rank
from tasks.domain.retry import History
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.models import Task

Jitter = Callable[[], float]

NO_LEASE: dict[str, Any] = {
    "lease_owner": None,
    "claim_id": None,
    "lease_expires_at": None,
    "held_until": None,
    "begun": False,
    "lock_fencing_number": 0,
    "capped": False,
}
ENDED: dict[str, Any] = {"hold": Hold.NONE, **NO_LEASE}

UNCOUNTED: dict[str, Any] = {
    "earlier_attempts": Least(F("earlier_attempts"), F("attempts") - 1),  # first: MySQL assigns from left to right
    "attempts": F("attempts") - 1,
    "version": F("version") + 1,
    **NO_LEASE,
}
"""Of a cancelled task, retried since or not, whose attempt had not begun: as if it had never been claimed."""


BULKY = ("description", "payload", "result", "error")
"""Columns that are worth leaving out where very many rows are read and none of these is needed."""


def locked(task_ids: Iterable[UUID], guard: Q | None = None, without: Collection[str] = ()) -> list[Task]:
    """The rows of these ids that meet the guard, locked in the one order that all verbs keep."""
    rows = Task.objects.select_for_update().filter(guard or Q(), pk__in=list(task_ids))
    return list(rows.order_by("pk").defer(*without))


def borne(leases: Iterable[Lease]) -> dict[Lease, Task]:
    """Those of the leases that their rows bear, with the locked rows: of several for one task, one at most."""
    rows = {task.pk: task for task in locked(lease.task_id for lease in leases)}
    found = ((lease, rows.get(lease.task_id)) for lease in leases)
    return {lease: task for lease, task in found if task is not None and bears(task, lease)}


def the(task_id: UUID) -> Task:
    """One row, locked. Raises NotFound."""
    for task in locked([task_id]):
        return task
    raise NotFound(f"There is no task {task_id}.")


def require(task: Task, verb: str, otherwise: str) -> None:
    """Raise Conflict unless the verb may start from the state that the task is in."""
    if task.status not in MOVES[verb].sources:
        raise Conflict(f"The task is {task.status}: it {otherwise}.", status=task.status)


def bears(task: Task, lease: Lease) -> bool:
    """Whether the row is held, or was last held, under this lease."""
    return task.fencing_token == lease.fencing_token and task.claim_id == lease.claim_id


def bearing(leases: Collection[Lease]) -> Q:
    """Rows that bear these leases, one for each task.

    Tokens are paired with their tasks: the same worker's newer claim may have won one of the tasks of an older one. A task
    and a token name one claim, so its id need not be.
    """
    return Q(
        pk__in=[lease.task_id for lease in leases],
        fencing_token=chosen_by_key("fencing_token", {lease.task_id: lease.fencing_token for lease in leases}),
        claim_id__in={lease.claim_id for lease in leases},
    )


def lease_of(task: Task) -> Lease:
    """The lease that the row bears."""
    return Lease(task.pk, task.fencing_token, task.claim_id)


def history(task: Task) -> History:
    """The attempts that count for what follows."""
    return History(task.attempts - task.earlier_attempts, task.failures, task.lost_leases, task.max_retries)


def ending_of(task: Task, lease: Lease, ending: str, error: str) -> audit.Ending:
    """What is remembered of an attempt that did not complete."""
    return audit.Ending(task.pk, task.attempts, lease.fencing_token, lease.claim_id, task.lease_owner, ending, error)


def assign(task: Task, now: datetime, **values: Any) -> None:
    """Set columns of a locked row, to be written by `write`."""
    for column, value in values.items():
        setattr(task, column, value)
    task.updated_at = now


PLACE = ("ready_ms", "rank")


def place(task: Task, ready_ms: int) -> None:
    """Give a locked row its place in the queue, by when it is ready and the queue's ageing of today. Columns: PLACE."""
    task.ready_ms = ready_ms
    task.rank = rank(task.priority, ready_ms, queues.level_ms(task.queue))


def return_to_line(tasks: Sequence[Task], now: datetime) -> list[str]:
    """Make locked rows QUEUED in the places that they had; returns the columns that differ if the queue's ageing does."""
    before = [task.rank for task in tasks]
    for task in tasks:
        assign(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE)
        place(task, task.ready_ms)
    return [] if before == [task.rank for task in tasks] else ["rank"]


def make_ready(task: Task, now: datetime) -> None:
    """Put a locked row into the line, as of now."""
    assign(task, now, status=TaskStatus.QUEUED, hold=Hold.NONE, queued_at=now)
    place(task, milliseconds(now))


def make_ready_or_wait(task: Task, due: datetime, now: datetime) -> None:
    """Make the task ready, unless it is due later or its cancelled attempt may still run."""
    still_held = task.lease_expires_at is not None and task.lease_expires_at > now
    if still_held or due > now:
        make_wait(task, due, now, Hold.DUE)
    else:
        forget_cancelled_attempt(task, now)
        make_ready(task, now)


def forget_cancelled_attempt(task: Task, now: datetime) -> None:
    """Outside of PROCESSING only a cancelled attempt has a lease; a lost one has left its claim's id alone."""
    if task.lease_expires_at is not None:
        assign(task, now, **NO_LEASE)


def make_wait(task: Task, until: datetime, now: datetime, hold: Hold = Hold.BACKOFF) -> None:
    """Have a locked row wait until a moment."""
    assign(task, now, status=TaskStatus.PENDING, hold=hold, queued_at=None, scheduled_at=until)
    place(task, milliseconds(until))


_ALWAYS = ("status", "hold", "updated_at", *NO_LEASE)
_MOMENTS = ("queued_at", "started_at", "completed_at")


def write(tasks: Sequence[Task], guard: Q, columns: Sequence[str]) -> None:
    """Write the named columns, and those that any move may set, in one statement.

    The rows are locked and were read under `guard`; the statement restates it all the same, and a row that it misses
    is a defect that must not pass in silence.
    """
    if not tasks:
        return
    for task in tasks:
        task.version += 1
    named = dict.fromkeys([*_ALWAYS, *_MOMENTS, *columns])
    values = {column: chosen_by_key(column, {task.pk: getattr(task, column) for task in tasks}) for column in named}
    written = Task.objects.filter(guard, pk__in=[task.pk for task in tasks]).update(**values, version=F("version") + 1)
    if written != len(tasks):
        raise RuntimeError(f"{len(tasks) - written} locked tasks escaped their guard")


def chosen_by_key(column: str, by_key: Mapping[UUID, Any]) -> Any:
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


def erase(rows: QuerySet[Task]) -> int:
    """Delete rows of which nothing is remembered; Django's `delete` would look for that, and write, in the tables of others."""
    return rows._raw_delete(rows.db) or 0
