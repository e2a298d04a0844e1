"""The only writer of the lines of tasks that wait for a limit, and of the rows by which claims and ends agree about caps.

How many run under a cap is counted in the rows of tasks, those that are leased. Whoever counts to give a place away, or has
given one up, has locked the cap's row first and keeps it until the commit: rows of tasks before those of locks before those
of limits, in the order of their names. So a task that finds no place stands in line before the place can be given up, and no
wake-up is lost. A rate needs no such care: its tokens come back by themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from dtq_site.foundation.database import through_index
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.states import Hold, TaskStatus
from tasks.models import LimitState, LimitWaiter, Queue, Task

FORGOTTEN_AFTER = timedelta(days=1)

Place = tuple[int, UUID]
"""Rank and id, by which a line is ordered."""

Stretch = tuple[datetime, UUID]
"""Where a stretch of the tasks that wait has ended: when the last one was changed, and its id."""

_ADD = {"mysql": "ON DUPLICATE KEY UPDATE made_at = made_at", "sqlite": 'ON CONFLICT ("limit") DO NOTHING'}


# --- the rows ------------------------------------------------------------------------------------------------------


def opened(limits: Collection[Limit], now: datetime) -> dict[Limit, LimitState]:
    """The rows of these limits, locked; a limit that nobody has met yet gets one."""
    names = {str(limit) for limit in limits}
    found = _locked(names)
    if missing := sorted(names - found.keys()):
        _make(missing, now)
        found |= _locked(missing)
    return {limit: found[str(limit)] for limit in limits}


def lock(limits: Collection[Limit]) -> None:
    """Lock the rows of these limits, of those that anybody has met."""
    _locked({str(limit) for limit in limits})


def full_at(limits: Collection[Limit]) -> dict[Limit, int]:
    """When the buckets of rates are full as their rows say, not locked."""
    rows = dict(
        LimitState.objects.filter(limit__in=[str(limit) for limit in limits]).values_list("limit", "full_at_us")
    )
    return {limit: rows.get(str(limit), 0) for limit in limits}


def set_full_at(moments: Mapping[Limit, int]) -> None:
    """Write when the buckets of rates are full, whose rows are locked."""
    for limit, moment in moments.items():
        LimitState.objects.filter(limit=str(limit)).update(full_at_us=moment)


def forget_old(now: datetime, limit: int = 500) -> int:
    """Remove rows that were made long ago, for which nobody waits, and of rates those whose bucket is full; returns how many.
    Who needs one makes it anew.
    """
    awaited = LimitWaiter.objects.values("limit").distinct()
    is_full = Q(full_at_us__lt=int(now.timestamp() * 1_000_000))
    old = LimitState.objects.filter(is_full, made_at__lt=now - FORGOTTEN_AFTER).exclude(limit__in=awaited)
    chosen = list(old.values_list("limit", flat=True)[:limit])
    rows = LimitState.objects.filter(is_full, limit__in=chosen)
    return rows._raw_delete(rows.db) or 0


def _locked(names: Collection[str]) -> dict[str, LimitState]:
    rows = LimitState.objects.select_for_update().filter(limit__in=names).order_by("limit")
    return {row.limit: row for row in rows}


def _make(names: Collection[str], now: datetime) -> None:
    # `INSERT IGNORE` would take shared locks on what others have just made, and wait with them for each other.
    table, column = map(connection.ops.quote_name, (LimitState._meta.db_table, "limit"))
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({column}, full_at_us, made_at) "
            f"VALUES {', '.join(['(%s, 0, %s)'] * len(names))} {_ADD[connection.vendor]}",
            [value for name in sorted(names) for value in (name, moment)],
        )


# --- who runs ------------------------------------------------------------------------------------------------------


def running(caps: Collection[Limit], now: datetime) -> Counter[Limit]:
    """How many attempts hold a place under each of these caps: those that run, and the cancelled ones that still may."""
    found: Counter[Limit] = Counter()
    queues = {cap.name for cap in caps if cap.scope is Scope.QUEUE}
    handlers = {cap.name for cap in caps if cap.scope is Scope.HANDLER}
    if queues:
        _add(found, caps, _leased(Q(queue__in=queues)).values_list("queue").annotate(Count("pk")), Scope.QUEUE)
    if handlers:
        of_all_queues = _leased(Q(queue__in=Queue.objects.values("name"), name__in=handlers))
        _add(found, caps, of_all_queues.values_list("name", "limit_key").annotate(Count("pk")), Scope.HANDLER)
    unheard = Task.objects.filter(
        Q(queue__in=queues) | Q(name__in=handlers),
        status__in=(TaskStatus.CANCELLED, TaskStatus.PENDING),
        lease_expires_at__gt=now,
    ).values_list("queue", "name", "limit_key")
    for queue, name, key in unheard:
        _add(found, caps, [(queue, 1)], Scope.QUEUE)
        _add(found, caps, [(name, key, 1)], Scope.HANDLER)
    return found


def _leased(which: Q) -> QuerySet[Task]:
    return through_index(Task.objects.filter(which, status=TaskStatus.PROCESSING), "task_line").order_by()


def _add(found: Counter[Limit], caps: Collection[Limit], rows: Iterable[tuple], scope: Scope) -> None:
    """Add counts by name, or by name and key: a task with a key counts for its handler's cap as a whole too."""
    for name, *key, count in rows:
        for cap in {Limit(Kind.CAP, scope, name), Limit(Kind.CAP, scope, name, (key or [None])[0] or "")}:
            if cap in caps:
                found[cap] += count


# --- the lines -----------------------------------------------------------------------------------------------------


def stand_in_line(waiters: Iterable[tuple[UUID, Limit, str, int]]) -> None:
    """Have tasks wait: id, limit, queue, rank."""
    rows = [LimitWaiter(task_id=id_, limit=str(limit), queue=queue, rank=rank) for id_, limit, queue, rank in waiters]
    if rows:
        LimitWaiter.objects.bulk_create(rows)


def leave_line(task_ids: Collection[UUID]) -> None:
    """Have tasks wait no longer."""
    waiters = LimitWaiter.objects.filter(task_id__in=task_ids)
    waiters._raw_delete(waiters.db)


def awaited_by(task_ids: Collection[UUID]) -> dict[UUID, Limit]:
    """For which limit each of these tasks waits, of those that wait for one."""
    rows = LimitWaiter.objects.filter(task_id__in=task_ids).values_list("task_id", "limit")
    return {task_id: Limit.named(text) for task_id, text in rows}


def fronts(limits: Collection[Limit], queue: str) -> dict[Limit, Place]:
    """Where the first one stands that waits for each of these limits in a queue."""
    found = {}
    for limit in limits:
        line = LimitWaiter.objects.filter(limit=str(limit), queue=queue).order_by("rank", "task_id")
        if (first := line.values_list("rank", "task_id").first()) is not None:
            found[limit] = first
    return found


def first_in_line(limit: Limit, count: int, most: int) -> list[UUID]:
    """The first tasks that wait for a limit, so many of each queue: one that nobody serves holds up no other. Of more than
    `most` in all the others have to wait for another look.
    """
    found: list[UUID] = []
    if min(count, most) <= 0:
        return found
    for queue in [limit.name] if limit.scope is Scope.QUEUE else _queues_waiting_for(limit):
        line = LimitWaiter.objects.filter(limit=str(limit), queue=queue).order_by("rank", "task_id")
        found += line.values_list("task_id", flat=True)[: min(count, most - len(found))]
    return found


def _queues_waiting_for(limit: Limit) -> QuerySet[Queue]:
    waiters = LimitWaiter.objects.filter(limit=str(limit), queue=OuterRef("name"))
    return Queue.objects.filter(Exists(waiters)).values_list("name", flat=True)


def ahead_of(task: Task, limit: Limit) -> int:
    """How many tasks of its queue wait for the limit before a task."""
    before = Q(rank__lt=task.rank) | Q(rank=task.rank, task_id__lt=task.pk)
    return LimitWaiter.objects.filter(before, limit=str(limit), queue=task.queue).count()


def awaited(kind: Kind, after: str, limit: int) -> list[Limit]:
    """The limits of a kind for which tasks wait, the next ones after a name."""
    waiters = LimitWaiter.objects.filter(_of(kind), limit__gt=after).order_by("limit")
    return [Limit.named(name) for name in waiters.values_list("limit", flat=True).distinct()[:limit]]


def strays(after: Stretch | None, count: int) -> tuple[list[UUID], Stretch | None]:
    """Of the next tasks that wait for anything those that wait for a limit and stand in no line, and where that stretch has
    ended; None if it was the last one.
    """
    rows = through_index(Task.objects.filter(status=TaskStatus.PENDING), "task_changed")
    if after is not None:
        changed_at, task_id = after
        rows = rows.filter(Q(updated_at=changed_at, pk__gt=task_id) | Q(updated_at__gt=changed_at))
    found = list(rows.order_by("updated_at", "pk").values_list("updated_at", "pk", "hold")[:count])
    limited = [task_id for _, task_id, hold in found if hold == Hold.LIMIT]
    in_line = awaited_by(limited) if limited else {}
    return [task_id for task_id in limited if task_id not in in_line], found[-1][:2] if len(found) == count else None


def count(most: int) -> dict[Kind, int]:
    """How many tasks wait for limits of each kind: `most` of more than that, for no more rows are read."""
    return {kind: LimitWaiter.objects.filter(_of(kind))[:most].count() for kind in Kind}


def _of(kind: Kind) -> Q:
    return Q(limit__gt=f"{kind}/", limit__lt=f"{kind}0")  # 0 is what follows the slash
