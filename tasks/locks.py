"""The only writer of locks and of the line of tasks that wait for one.

A lock's row is what decides who holds it. Whoever takes, frees or waits for a lock has locked its row first and keeps it
until the commit: rows of tasks before those of locks, locks in the order of their names. So a task that finds a lock held
stands in line before the holder can look for the next one, and no wake-up is lost.

Only `lifecycle/` calls the verbs: an attempt holds its locks for as long as it has its lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Greatest

from dtq_site.foundation.clock import milliseconds
from tasks.domain.locks import FORGOTTEN_AFTER, Holder, next_fencing_number
from tasks.models import LockWaiter, NamedLock

_ADD = {"mysql": "ON DUPLICATE KEY UPDATE name = name", "sqlite": "ON CONFLICT (name) DO NOTHING"}


# --- the rows ------------------------------------------------------------------------------------------------------


def opened(names: Iterable[str], now: datetime) -> dict[str, NamedLock]:
    """The rows of these locks by name, locked; a lock that nobody has wanted yet gets one."""
    wanted = set(names)
    found = _locked(wanted)
    if missing := sorted(wanted - found.keys()):
        _make(missing, now)
        found |= _locked(missing)
    return found


def peeked(names: Collection[str]) -> dict[str, NamedLock]:
    """The rows of these locks by name, as they stand, not locked."""
    return {lock.name: lock for lock in NamedLock.objects.filter(name__in=names)}


def held_by(holders: Collection[Holder]) -> dict[str, NamedLock]:
    """The rows of the locks that these attempts hold by name, locked."""
    tokens = {holder.task_id: holder.fencing_token for holder in holders}
    names = NamedLock.objects.filter(holder_id__in=tokens).values_list("name", flat=True)
    found = _locked(list(names)).items()
    return {name: lock for name, lock in found if tokens.get(lock.holder_id, 0) == lock.holder_token}


def is_free(lock: NamedLock, now: datetime) -> bool:
    """Whether the lock can be taken: nobody holds it, or only an attempt that was cancelled and whose lease has ended."""
    return lock.holder_id is None or (lock.ends_at is not None and lock.ends_at <= now)


def _locked(names: Collection[str]) -> dict[str, NamedLock]:
    return {lock.name: lock for lock in NamedLock.objects.select_for_update().filter(name__in=names).order_by("name")}


def _make(names: list[str], now: datetime) -> None:
    # `INSERT IGNORE` would take shared locks on what others have just made, and wait with them for each other.
    table = connection.ops.quote_name(NamedLock._meta.db_table)
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (name, holder_token, fencing_number, touched_at) "
            f"VALUES {', '.join(['(%s, 0, 0, %s)'] * len(names))} {_ADD[connection.vendor]}",
            [value for name in names for value in (name, moment)],
        )


# --- taking and freeing --------------------------------------------------------------------------------------------


def take(takers: Mapping[str, tuple[NamedLock, Holder]], now: datetime) -> dict[str, int]:
    """Give locked rows of free locks to these attempts; returns the fencing number of each, by name."""
    if not takers:
        return {}
    now_ms = milliseconds(now)
    NamedLock.objects.filter(name__in=takers).update(
        holder_id=_by_name("holder_id", {name: holder.task_id for name, (_, holder) in takers.items()}),
        holder_token=_by_name("holder_token", {name: holder.fencing_token for name, (_, holder) in takers.items()}),
        fencing_number=Greatest(F("fencing_number") + 1, now_ms),
        ends_at=None,
        touched_at=now,
    )
    return {name: next_fencing_number(lock.fencing_number, now_ms) for name, (lock, _) in takers.items()}


def free(names: Collection[str], now: datetime) -> None:
    """Have nobody hold these locks, whose rows are locked."""
    NamedLock.objects.filter(name__in=names).update(holder_id=None, ends_at=None, touched_at=now)


def let_end(holder: Holder, moment: datetime) -> None:
    """Have all locks of an attempt end at a moment: its lease will not be renewed any more."""
    NamedLock.objects.filter(holder_id=holder.task_id, holder_token=holder.fencing_token).update(ends_at=moment)


def forget_free(now: datetime, limit: int = 500) -> int:
    """Remove locks that nobody has taken for long; returns how many."""
    awaited = LockWaiter.objects.filter(name=OuterRef("name"))
    idle = NamedLock.objects.filter(~Exists(awaited), holder_id=None, touched_at__lt=now - FORGOTTEN_AFTER)
    chosen = list(idle.values_list("name", flat=True)[:limit])
    return idle.filter(name__in=chosen)._raw_delete(idle.db) or 0


def _by_name(column: str, values: Mapping[str, Any]) -> RawSQL:
    field = NamedLock._meta.get_field(column)
    parameters = [each for name, value in values.items() for each in (name, field.get_db_prep_save(value, connection))]
    return RawSQL(f"CASE name {'WHEN %s THEN %s ' * len(values)}END", parameters)


# --- the line ------------------------------------------------------------------------------------------------------


def stand_in_line(waiters: Iterable[tuple[UUID, str, int]]) -> None:
    """Have tasks wait: id, name of the lock, rank. The rows of the locks are locked."""
    LockWaiter.objects.bulk_create([LockWaiter(task_id=id_, name=name, rank=rank) for id_, name, rank in waiters])


def change_place(task_id: UUID, rank: int) -> None:
    """Give a task that waits another place in line."""
    LockWaiter.objects.filter(task_id=task_id).update(rank=rank)


def leave_line(task_ids: Collection[UUID]) -> None:
    """Have tasks wait no longer."""
    waiters = LockWaiter.objects.filter(task_id__in=task_ids)
    waiters._raw_delete(waiters.db)


def first_in_line(names: Collection[str]) -> list[UUID]:
    """The first task that waits for each of these locks; locks for which none waits are left out."""
    line = LockWaiter.objects.filter(name=OuterRef("name")).order_by("rank", "task_id")
    firsts = NamedLock.objects.filter(name__in=names).annotate(first=Subquery(line.values("task_id")[:1]))
    return [first for first in firsts.values_list("first", flat=True) if first is not None]


def awaited(after: str, limit: int) -> list[str]:
    """The names of locks for which tasks wait, the next ones `after` a name."""
    names = LockWaiter.objects.filter(name__gt=after).values_list("name", flat=True).distinct().order_by("name")
    return list(names[:limit])


def ended(now: datetime, limit: int) -> list[str]:
    """The names of locks that have ended and that nobody has freed."""
    return list(NamedLock.objects.filter(ends_at__lte=now).order_by("ends_at").values_list("name", flat=True)[:limit])
