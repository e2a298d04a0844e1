"""Reads about tasks and queues. What an account may see of tasks is decided in one place, `visible_to`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Func, IntegerField, Min, OuterRef, Q, QuerySet, Subquery, Sum, Window
from django.db.models.functions import Coalesce, RowNumber

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.clock import from_milliseconds
from tasks.domain.priority import HIGHEST, level_ms
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter, created_since
from tasks.listing import Page, TaskOrder, page
from tasks.models import Queue, Task, TaskLog

MOST_LOG_LINES = 1000
MOST_AGEING = 1000
LARGE_COLUMNS = frozenset({"description", "payload", "result", "error"})

# --- tasks ---------------------------------------------------------------------------------------------------------


WorkersOf = Callable[[Identity], Collection[UUID]]


def _no_workers(identity: Identity) -> Collection[UUID]:
    return ()


_workers_of: WorkersOf = _no_workers


def find_workers_by(workers_of: WorkersOf) -> None:
    """Let `workers_of` say which workers an account has registered: whoever knows of workers calls this at start."""
    global _workers_of
    _workers_of = workers_of


def visible_to(identity: Identity) -> QuerySet[Task]:
    """The tasks that the account may see: an admin all, a worker's account those that its workers hold, anybody else those of
    the team.
    """
    if identity.is_admin:
        return Task.objects.all()
    of_team = Task.objects.filter(team_id=identity.team_id)
    if identity.role is not Role.WORKER:
        return of_team
    workers = _workers_of(identity)
    return of_team.filter(status=TaskStatus.PROCESSING, lease_owner__in=workers) if workers else Task.objects.none()


def task(task_id: UUID, identity: Identity) -> Task | None:
    """One task, if the account may see it."""
    return visible_to(identity).filter(pk=task_id).first()


def visible_among(task_ids: Collection[UUID], identity: Identity) -> Collection[UUID]:
    """Those of the tasks that the account may see, all of which are of teams whose tasks it sees: a worker may not see each."""
    if identity.role is not Role.WORKER or not task_ids:
        return task_ids
    return set(visible_to(identity).filter(pk__in=task_ids).values_list("pk", flat=True))


def tasks(
    identity: Identity,
    wanted: TaskFilter,
    order: TaskOrder,
    limit: int,
    **how: Any,
) -> Page:
    """A page of the tasks that the account may see; see `listing.page`, which takes the other arguments."""
    return page(visible_to(identity), confined(wanted, identity), order, limit, **how)


def confined(wanted: TaskFilter, identity: Identity) -> TaskFilter:
    """The same filter, naming the team that it comes down to; an account other than an admin wants none of another team's."""
    if identity.is_admin:
        return wanted
    own = wanted.team_id in (None, identity.team_id)
    return replace(wanted, team_id=identity.team_id, ids=wanted.ids if own else [])


def counts_by_status(identity: Identity, queue: str | None = None, since: datetime | None = None) -> Counter[str]:
    """How many of the tasks that the account may see are in each state; `since` counts from their creation.

    Read off the index of the team alone, but for the few rows around `since`.
    """
    found = visible_to(identity).filter(TaskFilter(queue=queue).condition()).order_by().values_list("status")
    counts: Counter[str] = Counter()
    for part in [Q()] if since is None else created_since(since):
        counts.update(dict(found.filter(part).annotate(Count("pk"))))
    return counts


def sizes(task_ids: Collection[UUID], columns: Collection[str]) -> dict[str, int]:
    """How many bytes these columns of the tasks take together, each as the database has it."""
    lengths = {column: Sum(Func(F(column), function="LENGTH", output_field=IntegerField())) for column in columns}
    return {column: size or 0 for column, size in Task.objects.filter(pk__in=task_ids).aggregate(**lengths).items()}


def log_size(task_ids: Collection[UUID]) -> tuple[int, int]:
    """How many lines the logs of the tasks have, and how many bytes these take."""
    length = Sum(Func(F("message"), function="LENGTH", output_field=IntegerField()))
    found = TaskLog.objects.filter(task_id__in=task_ids).aggregate(lines=Count("pk"), size=length)
    return found["lines"], found["size"] or 0


def log_lines(task_ids: Collection[UUID]) -> list[TaskLog]:
    """The newest lines of each task, at most MOST_LOG_LINES, in the order in which they were written."""
    backwards = Window(
        RowNumber(), partition_by=F("task_id"), order_by=[F("fencing_token").desc(), F("sequence").desc()]
    )
    newest = TaskLog.objects.filter(task_id__in=task_ids).annotate(age=backwards).filter(age__lte=MOST_LOG_LINES)
    return list(newest.order_by("task_id", "fencing_token", "sequence"))


def log_lines_after(task_id: UUID, last_line: int) -> list[TaskLog]:
    """The lines of a task that were kept after the line with that key (0: all of them)."""
    return list(TaskLog.objects.filter(task_id=task_id, pk__gt=last_line).order_by("pk"))


# --- queues --------------------------------------------------------------------------------------------------------


def queues(names: Iterable[str] | None = None) -> list[Queue]:
    """The queues of those names, or all, by name."""
    rows = Queue.objects.order_by("name")
    return list(rows if names is None else rows.filter(name__in=list(names)))


def queue_counts(names: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """How many tasks of each queue are QUEUED and PROCESSING, by (queue, status)."""
    states = (TaskStatus.QUEUED, TaskStatus.PROCESSING)
    rows = Queue.objects.filter(name__in=names).values_list("name", *map(_tasks_in_queue, states))
    return Counter(
        {(queue, status): count for queue, *counts in rows for status, count in zip(states, counts, strict=True)}
    )


def _tasks_in_queue(status: TaskStatus) -> Coalesce:
    """How many tasks of a queue's row are in that state; each count walks its own stretch of `task_line` and no more."""
    tasks = Task.objects.filter(queue=OuterRef("name"), status=status).order_by()
    return Coalesce(Subquery(tasks.values("queue").annotate(tasks=Count("*")).values("tasks")), 0)


def oldest_ready(queues: Collection[Queue]) -> dict[str, datetime]:
    """Since when the task has been ready that waits longest, for each of the queues with a QUEUED task.

    A line may have a million tasks, so none of this looks at all of them: where priority is strict the oldest of each priority
    is the first of its stretch of the line, and where tasks age only the first MOST_AGEING in line are looked at.
    """
    line = Task.objects.filter(queue=OuterRef("name"), status=TaskStatus.QUEUED)
    names = [queue.name for queue in queues]
    occupied = Queue.objects.filter(Exists(line), name__in=names).values_list("name", "ageing_seconds")
    found = {name: _oldest_ready_ms(name, ageing_seconds) for name, ageing_seconds in occupied}
    return {name: from_milliseconds(ready_ms) for name, ready_ms in found.items() if ready_ms is not None}


def _oldest_ready_ms(queue: str, ageing_seconds: int | None) -> int | None:
    line = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED)
    if ageing_seconds is None:
        return min(_firsts_of_priorities(line.order_by("rank", "id")), default=None)
    first = line.order_by("rank", "id").values("ready_ms")[:MOST_AGEING]
    oldest: int | None = first.aggregate(oldest=Min("ready_ms"))["oldest"]
    return oldest


def _firsts_of_priorities(line: QuerySet[Task]) -> Iterator[int]:
    """Since when the first task of each priority has been ready: one step by the index for each that the line has."""
    least, level = 0, level_ms(None)
    while first := line.filter(rank__gte=least).values_list("priority", "ready_ms", "rank").first():
        priority, ready_ms, rank = first
        yield ready_ms
        # A place that was given by an ageing which has ended lies elsewhere.
        least = max((HIGHEST - priority + 1) * level, rank + 1)


# --- the whole installation ----------------------------------------------------------------------------------------


def counts_up_to(most: int) -> Counter[tuple[str, TaskStatus]]:
    """How many tasks of each queue are QUEUED, PROCESSING and DEAD_LETTER, by (queue, status): `most` of more than that, for no
    more rows are read.
    """
    states = (TaskStatus.QUEUED, TaskStatus.PROCESSING, TaskStatus.DEAD_LETTER)
    there = {state: Exists(Task.objects.filter(queue=OuterRef("name"), status=state)) for state in states}
    found: Counter[tuple[str, TaskStatus]] = Counter()
    for queue, *occupied in Queue.objects.values_list("name", *there.values()):
        for state in itertools.compress(states, occupied):
            found[queue, state] = Task.objects.filter(queue=queue, status=state)[:most].count()
    return found


def active() -> int:
    """How many tasks are being processed."""
    return Task.objects.filter(status=TaskStatus.PROCESSING).count()


def backlog() -> dict[str, int]:
    """What waits for workers, and what waits for people."""
    return {
        "depth": Task.objects.filter(status=TaskStatus.QUEUED).count(),
        "deadLetter": Task.objects.filter(status=TaskStatus.DEAD_LETTER).count(),
    }
