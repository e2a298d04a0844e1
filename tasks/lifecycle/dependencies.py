"""Dependencies in the life of a task: the child waits as PENDING until its parents have completed. The only writer of edges.

An edge is satisfied in the transaction in which its parent ends, and the child's row is locked before its other edges are
counted. So of two parents that complete at once, the one that gets that lock last sees both edges satisfied, and makes the
child ready. Who makes an edge, or has a child wait anew, locks the parents before reading how they stand: either their end
sees the edge, or the edge sees their end.

A parent bears a mark from its first edge on; tasks without it complete with no look at this table. What follows from an end
is done for MOST_AT_ONCE edges in its transaction. If there may be more, the end is noted there as unfollowed, and a duty draws
the rest by `recount`, as it does for whatever else is overdue.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.errors import Conflict, NotFound
from tasks.domain.states import MOVES, TERMINAL, Hold, TaskStatus
from tasks.domain.submission import NewTask
from tasks.domain.workflow import Consequence, OnFailure, consequence
from tasks.lifecycle.effects import follow
from tasks.lifecycle.rows import PLACE, assign, locked, make_ready_or_wait, place, write
from tasks.models import Dependency, Task, UnfollowedEnd

MOST_AT_ONCE = 1000

_WAITS = Q(status__unindexed__in=MOVES["unblock"].sources, hold__unindexed=Hold.DEPENDENCY)


class Edge(NamedTuple):
    """What is read of one that is not satisfied."""

    pk: int
    child_id: UUID
    parent_id: UUID
    on_failure: str


# --- creation ------------------------------------------------------------------------------------------------------


def lock_parents(new_tasks: Iterable[NewTask], own: Collection[UUID]) -> dict[UUID, str]:
    """Lock and mark the tasks that new ones need, but for the call's `own`; returns how they stand.

    Raises NotFound for one that is not there, or is another team's, and Conflict for the coming occurrence of a schedule.
    """
    teams = {parent.task_id: new.team_id for new in new_tasks for parent in new.parents if parent.task_id not in own}
    found = {task.pk: task for task in locked(teams)} if teams else {}
    for task_id, team_id in teams.items():
        task = found.get(task_id)
        if task is None or task.team_id != team_id:
            raise NotFound(f"There is no task {task_id}.", task=str(task_id))
        if task.hold == Hold.SCHEDULE:
            raise Conflict(
                f"Task {task_id} is the coming occurrence of a schedule, which may withdraw it: depend on it once it is due.",
                task=str(task_id),
            )
    unmarked = [task.pk for task in found.values() if not task.has_dependants]
    if unmarked:
        Task.objects.filter(pk__in=unmarked).update(has_dependants=True)
    return {task.pk: task.status for task in found.values()}


def tie(new_tasks: Iterable[NewTask], tasks: Sequence[Task], parents: Mapping[UUID, str], now: datetime) -> None:
    """Make the edges of tasks that were just inserted, and draw what follows for them from `parents` that have ended."""
    edges = [
        Dependency(child_id=task.pk, parent_id=parent.task_id, key=parent.key, on_failure=new.on_failure)
        for new, task in zip(new_tasks, tasks, strict=True)
        for parent in new.parents
    ]
    Dependency.objects.bulk_create(edges)
    ended = {task_id: status for task_id, status in parents.items() if status in TERMINAL}
    if ended:
        children = {edge.child_id for edge in edges}
        waiting = {task.pk: task for task in tasks if task.pk in children}
        _judge(_unsatisfied(child_id__in=children), ended, waiting, now)


# --- ends ----------------------------------------------------------------------------------------------------------


def follow_ends(tasks: Iterable[Task], now: datetime) -> list[Task]:
    """After these locked rows have moved: draw what follows for the children of those that have ended, and for theirs.

    Returns what was moved, for `follow`. Ends from which more may follow are noted.
    """
    ended = {task.pk: task.status for task in tasks if task.has_dependants and task.status in TERMINAL}
    if not ended:
        return []
    edges = _unsatisfied(MOST_AT_ONCE, parent_id__in=ended)
    below = _below([edge for edge in edges if _follows(edge, ended) is Consequence.CANCEL])
    both = [*edges, *below]
    waiting = {task.pk: task for task in locked({edge.child_id for edge in both}, _WAITS)} if both else {}
    moved = _judge(both, ended, waiting, now)
    unfollowed: set[UUID] = set()
    if len(edges) == MOST_AT_ONCE:
        unfollowed = ended.keys() - _read_whole(edges)
    if len(below) == MOST_AT_ONCE:
        unfollowed |= {task.pk for task in moved if task.has_dependants and task.status in TERMINAL}
    UnfollowedEnd.objects.bulk_create([UnfollowedEnd(task_id=task_id) for task_id in sorted(unfollowed)])
    return moved


def _read_whole(edges: Sequence[Edge]) -> set[UUID]:
    """The parents of which no edge is missing in a stretch; it is in their order, so all but the last one."""
    return {edge.parent_id for edge in edges} - {edges[-1].parent_id}


def _unsatisfied(most: int | None = None, **which: Collection[UUID]) -> list[Edge]:
    rows = Dependency.objects.filter(satisfied=False, **which).order_by("parent_id", "child_id")
    return [Edge(*row) for row in rows.values_list(*Edge._fields)[:most]]


def _below(edges: Sequence[Edge]) -> list[Edge]:
    """The edges from all tasks that are cancelled, one after the other, when the children of `edges` are."""
    if not edges:
        return []
    table = connection.ops.quote_name(Dependency._meta.db_table)
    found = Dependency.objects.raw(
        f"""
        WITH RECURSIVE cancelled (id) AS (
            SELECT child_id FROM {table} WHERE id IN ({", ".join(["%s"] * len(edges))})
            UNION SELECT edge.child_id FROM {table} edge JOIN cancelled ON edge.parent_id = cancelled.id
                WHERE edge.satisfied = 0 AND edge.on_failure = %s
        )
        SELECT edge.* FROM {table} edge JOIN cancelled ON edge.parent_id = cancelled.id WHERE edge.satisfied = 0 LIMIT %s
        """,
        [*(edge.pk for edge in edges), OnFailure.CANCEL, MOST_AT_ONCE],
    )
    return [Edge(each.pk, each.child_id, each.parent_id, each.on_failure) for each in found]


def _follows(edge: Edge, ended: Mapping[UUID, str | None]) -> Consequence:
    return consequence(ended[edge.parent_id], edge.on_failure)


def _judge(
    edges: Iterable[Edge], ended: Mapping[UUID, str | None], waiting: Mapping[UUID, Task], now: datetime
) -> list[Task]:
    """Draw from edges what follows for locked children that wait, and for theirs; returns those that moved."""
    met, cancelled = _decided(edges, ended, waiting)
    if met:
        Dependency.objects.filter(pk__in=met).update(satisfied=True)
    for child_id, said in cancelled.items():
        assign(waiting[child_id], now, status=TaskStatus.CANCELLED, hold=Hold.NONE, completed_at=now, error=said)
    free = _free([task for task in waiting.values() if task.pk not in cancelled])
    for task in free:
        make_ready_or_wait(task, task.scheduled_at or now, now)
    moved = [*(waiting[child_id] for child_id in cancelled), *free]
    write(moved, _WAITS, ["error", "scheduled_at", *PLACE])
    return moved


def _decided(
    edges: Iterable[Edge], ended: Mapping[UUID, str | None], waiting: Collection[UUID]
) -> tuple[list[int], dict[UUID, str]]:
    """The edges that are satisfied, and the children that are cancelled, with what is said of them."""
    met: list[int] = []
    cancelled: dict[UUID, str] = {}
    stand = dict(ended)
    from_parent: dict[UUID, list[Edge]] = defaultdict(list)
    for edge in edges:
        from_parent[edge.parent_id].append(edge)
    parents = deque(ended)
    while parents:
        for edge in from_parent[parents.popleft()]:
            if edge.child_id not in waiting or edge.child_id in cancelled:
                continue
            follows = _follows(edge, stand)
            if follows is Consequence.MET:
                met.append(edge.pk)
            elif follows is Consequence.CANCEL:
                cancelled[edge.child_id] = (
                    f"Task {edge.parent_id}, on which it depends, ended as {stand[edge.parent_id]}."
                )
                stand[edge.child_id] = TaskStatus.CANCELLED
                parents.append(edge.child_id)
    return met, cancelled


def _free(waiting: Sequence[Task]) -> list[Task]:
    """Those of the locked children that no edge keeps waiting."""
    if not waiting:
        return []
    left = Dependency.objects.filter(child_id__in=[task.pk for task in waiting], satisfied=False)
    blocked = set(left.values_list("child_id", flat=True).distinct())
    return [task for task in waiting if task.pk not in blocked]


# --- waiting anew --------------------------------------------------------------------------------------------------


def with_unmet_needs(tasks: Iterable[Task]) -> set[UUID]:
    """The ids of those locked rows that have to wait for parents when they are to run again."""
    edges = Dependency.objects.filter(child_id__in=[task.pk for task in tasks], satisfied=False)
    return set(edges.values_list("child_id", flat=True).distinct())


def parents_gone(tasks: Iterable[Task]) -> dict[UUID, UUID]:
    """Those of the locked rows that depend on a task which was deleted and never completed for them, with its id: they must
    not run again. The parents that are there stay, for their rows are locked.
    """
    edges, ended = _ended_parents([task.pk for task in tasks])
    gone = [edge for edge in edges if ended[edge.parent_id] is None and edge.on_failure != OnFailure.RUN]
    return {edge.child_id: edge.parent_id for edge in gone}


def wait_anew(task: Task, now: datetime) -> None:
    """Have a locked row wait for its parents. Columns: PLACE."""
    assign(task, now, status=TaskStatus.PENDING, hold=Hold.DEPENDENCY, queued_at=None)
    place(task, milliseconds(now))


def move_on(waiting: Mapping[UUID, Task], now: datetime) -> list[Task]:
    """After locked rows were written as waiting anew: let those go on that wait for nothing any more; returns them.

    A parent that has ended badly does not cancel them a second time: it holds them until it is retried too.
    """
    if not waiting:
        return []
    edges, ended = _ended_parents(waiting)
    bad = {edge.pk for edge in edges if _follows(edge, ended) is Consequence.CANCEL}
    Dependency.objects.filter(pk__in=bad).update(on_failure=OnFailure.HOLD)
    return _judge([edge for edge in edges if edge.pk not in bad], ended, waiting, now)


@repeats_lock_conflicts
def recount(task_ids: Collection[UUID], now: datetime) -> int:
    """Draw for those of the tasks that wait for parents what follows from how these stand; returns how many were moved."""
    waiting = {task.pk: task for task in locked(task_ids, _WAITS)}
    moved = _judge(*_ended_parents(waiting), waiting, now)
    moved += follow_ends(moved, now)
    follow(moved)
    return len(moved)


def forget_ends(ends: Collection[UnfollowedEnd]) -> None:
    """Note no longer that more may follow from these ends. A later end of the same task has a note of its own."""
    UnfollowedEnd.objects.filter(pk__in=[end.pk for end in ends]).delete()


def _ended_parents(children: Collection[UUID]) -> tuple[list[Edge], dict[UUID, str | None]]:
    """How those parents of locked children stand that have ended or are gone, their rows locked, and the edges to them."""
    edges = _unsatisfied(child_id__in=children)
    parents = {edge.parent_id for edge in edges}
    rows = Task.objects.select_for_update().filter(pk__in=parents).order_by("pk").values_list("pk", "status")
    stand: dict[UUID, str | None] = dict.fromkeys(parents) | dict(rows)
    ended = {task_id: status for task_id, status in stand.items() if status is None or status in TERMINAL}
    return [edge for edge in edges if edge.parent_id in ended], ended


# --- deletion ------------------------------------------------------------------------------------------------------


def is_needed() -> Q:
    """Tasks with children that have not ended: those may need the result, or hope for a retry."""
    unfinished = Task.objects.filter(pk=OuterRef("child_id")).exclude(status__in=TERMINAL)
    edges = Dependency.objects.filter(Exists(unfinished), parent_id=OuterRef("pk"))
    return Q(Exists(edges), has_dependants=True)


def needed(tasks: Iterable[Task]) -> set[UUID]:
    """The ids of those locked rows that are needed; nobody can come to need another one meanwhile."""
    marked = [task.pk for task in tasks if task.has_dependants]
    return set(Task.objects.filter(is_needed(), pk__in=marked).values_list("pk", flat=True)) if marked else set()


def forget(task_ids: Collection[UUID]) -> None:
    """Remove what tasks waited for that are being deleted."""
    edges = Dependency.objects.filter(child_id__in=task_ids)
    edges._raw_delete(edges.db)
