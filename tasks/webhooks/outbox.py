"""What is to be told of tasks, written in the transaction of the move that it tells of; the only writer of these rows.

Nearly nobody subscribes, and then a move must cost nothing: which teams want which events is remembered for two seconds, so that
a new subscription is told of what happens from two seconds later on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import connection

from dtq_site.foundation.batches import by_weight
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import STATEMENT_BYTES
from dtq_site.foundation.statements import Statement
from tasks.domain.webhooks import HANDLER, WebhookEvent, event_of
from tasks.models import Task, TaskEvent, Webhook

REMEMBERED_SECONDS = 2.0

Wanted = frozenset[tuple[UUID, str]]

_wanted: tuple[float, Wanted] = (float("-inf"), frozenset())


def wanted() -> Wanted:
    """The events that somebody is to be told of, each with the team whose tasks they are of."""
    global _wanted
    if elapsed_clock() - _wanted[0] > REMEMBERED_SECONDS:
        read_at = elapsed_clock()
        rows = Webhook.objects.filter(active=True).order_by().values_list("team_id", "events")
        _wanted = (read_at, frozenset((team_id, event) for team_id, events in rows for event in events))
    return _wanted[1]


def forget_known() -> None:
    """Drop the memory of subscriptions, as after a change that is to hold in this process at once."""
    global _wanted
    _wanted = (float("-inf"), frozenset())


def record(tasks: Iterable[Task]) -> None:
    """Note what has become of tasks that have just entered the states that they are in."""
    if not (known := wanted()):
        return
    told = ((task, event_of(task.status, task.hold)) for task in tasks if task.name != HANDLER)
    rows = [_event(task, event) for task, event in told if event is not None and (task.team_id, event) in known]
    for part in by_weight(((row, len(row.error.encode())) for row in rows), STATEMENT_BYTES):
        TaskEvent.objects.bulk_create(part)


def _event(task: Task, event: WebhookEvent) -> TaskEvent:
    return TaskEvent(
        event=event,
        team_id=task.team_id,
        task_id=task.pk,
        name=task.name,
        queue=task.queue,
        attempts=task.attempts,
        error=task.error,
        at=task.updated_at,
    )


def completions_of(task_ids: Collection[UUID]) -> list[Statement]:
    """The statements that note the completion of tasks of which only the ids are at hand, to be run once they have completed;
    none if nobody is to be told.
    """
    teams = [team_id for team_id, event in wanted() if event == WebhookEvent.TASK_COMPLETED]
    if not teams:
        return []
    quoted = connection.ops.quote_name
    by_key = "FORCE INDEX (PRIMARY)" if connection.vendor == "mysql" else ""
    columns = ("team_id", "name", "queue", "attempts", "error")
    named = ", ".join(map(quoted, columns))
    sql = f"""
        INSERT INTO {quoted(TaskEvent._meta.db_table)} ({named}, event, task_id, at)
        SELECT {named}, %s, id, completed_at FROM {quoted(Task._meta.db_table)} {by_key}
        WHERE id IN ({_places(task_ids)}) AND team_id IN ({_places(teams)}) AND name <> %s"""
    ids = [Task._meta.pk.get_db_prep_value(each, connection) for each in (*task_ids, *teams)]
    return [Statement(sql, [str(WebhookEvent.TASK_COMPLETED), *ids, HANDLER])]


def _places(values: Collection[UUID]) -> str:
    return ", ".join(["%s"] * len(values))


def locked(limit: int) -> list[TaskEvent]:
    """The first events that nobody has been told of yet, locked. Call it in a transaction."""
    first = list(TaskEvent.objects.order_by("pk").values_list("pk", flat=True)[:limit])
    return list(TaskEvent.objects.select_for_update().filter(pk__in=first).order_by("pk")) if first else []


def remove(events: Sequence[TaskEvent]) -> None:
    """Forget events that were made into deliveries."""
    rows = TaskEvent.objects.filter(pk__in=[event.pk for event in events])
    rows._raw_delete(rows.db)
