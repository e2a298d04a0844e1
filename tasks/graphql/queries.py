"""Reading tasks and queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import graphene
from graphql import GraphQLResolveInfo

from accounts.graphql.arguments import DEFAULT_LIMIT, MOST, fields_of, read_id, read_limit, read_page, read_text
from accounts.permissions import requires
from accounts.roles import Role
from dtq_site.foundation.errors import NotFound
from dtq_site.foundation.scalars import DateTime
from tasks import explanation, models, selectors
from tasks.domain.states import TaskStatus as Status
from tasks.graphql.cursors import cursor_of, position_at
from tasks.graphql.handler_limits import HandlerLimitsQuery
from tasks.graphql.inputs import SEARCH, TaskFilter, read_filter
from tasks.graphql.related import foresight, selections_of_nodes, unselected_columns, with_counts, with_related
from tasks.graphql.scalars import Priority
from tasks.graphql.selection import Selection
from tasks.graphql.types import Explanation, Queue, Task, TaskConnection, TaskOrder, TaskStats, TaskStatus
from tasks.listing import Page
from tasks.listing import TaskOrder as Order


class TasksQuery(HandlerLimitsQuery):
    """The fields of Query that tasks answer."""

    task = graphene.Field(Task, id=graphene.ID(required=True, description="The task's id."), description="One task.")
    tasks = graphene.List(
        graphene.NonNull(Task),
        required=True,
        status=TaskStatus(description="Only tasks in this state."),
        name=graphene.String(description="Only tasks for this handler."),
        queue=graphene.String(description="Only tasks of this queue."),
        priority=Priority(description="Only tasks of exactly this priority."),
        search=graphene.String(description=SEARCH),
        created_after=DateTime(description="Only tasks that were created at this moment or later."),
        created_before=DateTime(description="Only tasks that were created before this moment."),
        order_by=TaskOrder(description="In which order; the newest first, if left out."),
        limit=graphene.Int(default_value=DEFAULT_LIMIT, description=f"How many at most, up to {MOST:,}."),
        offset=graphene.Int(default_value=0, description="How many to pass over first."),
        description="Tasks that the caller may see.",
    )
    tasks_connection = graphene.Field(
        TaskConnection,
        required=True,
        first=graphene.Int(default_value=DEFAULT_LIMIT, description=f"How many at most, up to {MOST:,}."),
        after=graphene.String(description="The cursor from which to go on; from the beginning, if left out."),
        filter=TaskFilter(description="Which tasks; all, if left out."),
        order_by=TaskOrder(description="In which order; the newest first, if left out."),
        description="Tasks that the caller may see, page by page, each page as fast as the first.",
    )
    task_stats = graphene.Field(
        TaskStats,
        required=True,
        queue=graphene.String(description="Only tasks of this queue."),
        since=DateTime(description="Only tasks that were created at this moment or later."),
        description="How many of the tasks that the caller may see are in which state.",
    )
    explain = graphene.Field(
        Explanation,
        required=True,
        id=graphene.ID(required=True, description="The task's id."),
        description="Why a task is not running: all that stands in its way now, or what became of it.",
    )
    queues = graphene.List(graphene.NonNull(Queue), required=True, description="All queues, by name.")
    queue = graphene.Field(
        Queue, name=graphene.String(required=True, description="The queue's name."), description="One queue."
    )

    @staticmethod
    @requires(Role.VIEWER, Role.USER, Role.WORKER)
    def resolve_task(root: None, info: GraphQLResolveInfo, id: str) -> models.Task:
        """The task, if the caller may see it."""
        return with_related([visible_task(info, id)], info)[0]

    @staticmethod
    @requires(Role.VIEWER, Role.USER, Role.WORKER)
    def resolve_tasks(
        root: None,
        info: GraphQLResolveInfo,
        status: Status | None = None,
        order_by: Order | None = None,
        limit: int | None = None,
        offset: int | None = None,
        **wanted: Any,
    ) -> Sequence[models.Task]:
        """A page, with all that is selected of it."""
        limit, offset = read_page(limit, offset)
        shown = Selection.below(info)
        page = selectors.tasks(
            info.context.identity,
            read_filter({**wanted, "status": None if status is None else [status]}),
            order_by or Order.NEWEST,
            limit,
            offset=offset,
            without=unselected_columns(shown),
            before_reading=foresight(info, shown),
        )
        return with_related(page.tasks, info)

    @staticmethod
    @requires(Role.VIEWER, Role.USER, Role.WORKER)
    def resolve_tasks_connection(
        root: None,
        info: GraphQLResolveInfo,
        first: int | None = None,
        after: str | None = None,
        filter: Mapping[str, Any] | None = None,
        order_by: Order | None = None,
    ) -> dict[str, Any]:
        """A page, with all that is selected of it."""
        order = order_by or Order.NEWEST
        with fields_of("filter"):
            wanted = read_filter(filter or {})
        shown = selections_of_nodes(Selection.below(info))
        page = selectors.tasks(
            info.context.identity,
            wanted,
            order,
            read_limit(first, "first"),
            after=None if after is None else position_at(after, order),
            without=unselected_columns(*shown),
            before_reading=foresight(info, *shown),
        )
        for selection in shown:
            with_related(page.tasks, info, selection)
        return _connection(page, order, after)

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_task_stats(
        root: None, info: GraphQLResolveInfo, queue: str | None = None, since: datetime | None = None
    ) -> dict[str, int]:
        """One count for each state, and their sum."""
        queue = None if queue is None else read_text(queue, "queue")
        counts = selectors.counts_by_status(info.context.identity, queue, since)
        return {"total": counts.total()} | {status.lower(): counts[status] for status in Status}

    @staticmethod
    @requires(Role.VIEWER, Role.USER, Role.WORKER)
    def resolve_explain(root: None, info: GraphQLResolveInfo, id: str) -> dict[str, Any]:
        """The reasons, and one text of their messages."""
        reasons = explanation.explain(visible_task(info, id), info.context.clock.now())
        return {"sentence": " ".join(reason.message for reason in reasons), "reasons": reasons}

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_queues(root: None, info: GraphQLResolveInfo) -> Sequence[models.Queue]:
        """Every row, with the counts that are selected."""
        return with_counts(selectors.queues(), info)

    @staticmethod
    @requires(Role.VIEWER, Role.USER)
    def resolve_queue(root: None, info: GraphQLResolveInfo, name: str) -> models.Queue:
        """The queue of that name."""
        found = selectors.queues([read_text(name, "name")])
        if not found:
            raise NotFound(f"There is no queue named {name!r}.")
        return with_counts(found, info)[0]


def visible_task(info: GraphQLResolveInfo, id: str) -> models.Task:
    """The task of that id. Raises NotFound if there is none, or none that the caller may see."""
    task = selectors.task(read_id(id), info.context.identity)
    if task is None:
        raise NotFound
    return task


def _connection(page: Page, order: Order, after: str | None) -> dict[str, Any]:
    cursors = [cursor_of(order, position) for position in page.positions]
    last = cursors[-1] if cursors else None
    return {
        "edges": [{"cursor": cursor, "node": task} for cursor, task in zip(cursors, page.tasks, strict=True)],
        "nodes": page.tasks,
        "page_info": {
            "has_next_page": page.end is not None,
            "has_previous_page": after is not None,
            "start_cursor": cursors[0] if cursors else None,
            "end_cursor": last if page.end is None else cursor_of(order, page.end),
        },
    }
