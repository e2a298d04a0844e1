"""What an answer shows of tasks and queues beside their own columns: each kind is read once for a whole list.

A loader gets the rows and sets an attribute on each, from which the type's field is answered. The apps above register the
fields that only they can answer, such as a task's worker, before the schema is built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import graphene
from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from graphene.utils.str_converters import to_camel_case
from graphql import GraphQLResolveInfo

from accounts.models import User
from tasks import models, parents, selectors
from tasks.domain.outcome import MAX_ERROR_LENGTH
from tasks.domain.states import TaskStatus
from tasks.domain.submission import MAX_DESCRIPTION
from tasks.graphql import types
from tasks.graphql.selection import Selection

Load = Callable[[Sequence[models.Task], Selection, GraphQLResolveInfo], None]


def answer_on_task(fields: Mapping[str, graphene.Field], load: Load) -> None:
    """Add fields to the type Task; `load` runs once for a list of tasks if one of them is selected."""
    types.Task._meta.fields.update(fields)
    _loaders.append((frozenset(map(to_camel_case, fields)), load))


def with_related(
    tasks: Sequence[models.Task], info: GraphQLResolveInfo, selection: Selection | None = None
) -> Sequence[models.Task]:
    """The tasks, ready for everything that is selected of them: below the field that is being resolved, if not said otherwise."""
    selection = selection or Selection.below(info)
    for fields, load in _loaders if tasks else ():
        if not fields.isdisjoint(selection):
            load(tasks, selection, info)
    return tasks


def selections_of_nodes(connection: Selection) -> list[Selection]:
    """What is selected of the tasks of a connection, in its two places."""
    found = [connection["nodes"]] if "nodes" in connection else []
    if "edges" in connection and "node" in (edges := connection["edges"]):
        found.append(edges["node"])
    return found


def unselected_columns(*selections: Selection) -> list[str]:
    """The columns that may be large and that the query does not show."""
    selected = {column for column in selectors.LARGE_COLUMNS for each in selections if column in each}
    return sorted(selectors.LARGE_COLUMNS - selected)


def foresight(info: GraphQLResolveInfo, *selections: Selection) -> Callable[[Collection[UUID]], None]:
    """For a list that is about to read tasks: ends the request if what is selected of them is too much for its answer."""
    names = {column: sum(each.times(column) for each in selections) for column in selectors.LARGE_COLUMNS}
    shown = {column: count for column, count in names.items() if count}
    largest = sum(count * _LARGEST.get(column, settings.DTQ_TASKS.max_json_bytes) for column, count in shown.items())

    def check(task_ids: Collection[UUID]) -> None:
        if len(task_ids) * largest > info.context.meter.room:
            sizes = selectors.sizes(task_ids, shown.keys())
            info.context.meter.foresee(size=sum(count * sizes[column] for column, count in shown.items()))

    return check


_LARGEST = {"description": 4 * MAX_DESCRIPTION, "error": 4 * MAX_ERROR_LENGTH}


def _load_users(tasks: Sequence[models.Task], *_: Any) -> None:
    prefetch_related_objects(tasks, Prefetch("user", User.objects.select_related("team")))


def _load_teams(tasks: Sequence[models.Task], *_: Any) -> None:
    prefetch_related_objects(tasks, "team")


def _load_logs(tasks: Sequence[models.Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    task_ids = [task.pk for task in tasks]
    if len(task_ids) > 1:
        count, size = selectors.log_size(task_ids)
        info.context.meter.foresee(items=count, size=size * selection["logs"].times("message"))
    lines = defaultdict(list)
    for line in selectors.log_lines(task_ids):
        lines[line.task_id].append(line)
    for task in tasks:
        task.logs = lines[task.pk]


def _load_parents(tasks: Sequence[models.Task], selection: Selection, info: GraphQLResolveInfo) -> None:
    below, meter = selection["dependsOn"], info.context.meter
    edges = parents.edges_of([task.pk for task in tasks], most=meter.fields_left + 1)
    meter.foresee(items=len(edges))
    foresight(info, below)({parent_id for _, parent_id in edges})
    found = parents.parents_along(edges, unselected_columns(below))
    distinct = {each.pk: each for some in found.values() for each in some}
    shown = selectors.visible_among(distinct, info.context.identity)
    with_related([each for pk, each in distinct.items() if pk in shown], info, below)
    for task in tasks:
        task.depends_on = [each for each in found.get(task.pk, ()) if each.pk in shown]


_loaders: list[tuple[frozenset[str], Load]] = [
    (frozenset({"user"}), _load_users),
    (frozenset({"team"}), _load_teams),
    (frozenset({"logs"}), _load_logs),
    (frozenset({"dependsOn"}), _load_parents),
]


def with_counts(queues: Sequence[models.Queue], info: GraphQLResolveInfo) -> Sequence[models.Queue]:
    """The queues that the field being resolved answers with, with the counts that are selected of them."""
    selection = Selection.below(info)
    names = [queue.name for queue in queues]
    if "depth" in selection or "processing" in selection:
        counts = selectors.queue_counts(names)
        for queue in queues:
            queue.depth = counts[queue.name, TaskStatus.QUEUED]
            queue.processing = counts[queue.name, TaskStatus.PROCESSING]
    if "oldestQueuedAt" in selection:
        oldest = selectors.oldest_ready(queues)
        for queue in queues:
            queue.oldest_queued_at = oldest.get(queue.name)
    return queues
