"""DTQ as its producer sees it, with two references: a bare row by the ORM, and the same row by the database's own client."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")
django.setup()

from django.apps import apps  # noqa: E402
from django.core.management.color import no_style  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Max  # noqa: E402

from accounts import registration, tokens, worker_tokens  # noqa: E402
from accounts.models import User  # noqa: E402
from accounts.roles import Role  # noqa: E402
from dtq_site.foundation.database import database_clock, ids  # noqa: E402
from tasks import lifecycle, submission  # noqa: E402
from tasks.domain.states import Hold, TaskStatus  # noqa: E402
from tasks.handling.port import EnqueueRequest  # noqa: E402
from tasks.models import Queue, Task  # noqa: E402
from tasks.queue.dispatch import redis_index  # noqa: E402
from tests.benchmarks.applications import dtq_handlers  # noqa: E402
from tests.support.waiting import eventually  # noqa: E402

API_USER = "benchmark"
WORKER_USER = "far-away"
QUEUE = "default"
TASKS_PER_CALL = 1000


def create_many(count: int) -> None:
    """All in calls of a thousand, which is what the API takes at once."""
    for start in range(0, count, TASKS_PER_CALL):
        dtq_handlers.count.enqueue_many([{}] * min(TASKS_PER_CALL, count - start))


def create_waiting(count: int) -> list[str]:
    """Tasks that are due tomorrow."""
    return [str(task.pk) for task in dtq_handlers.count.options(delay_seconds=86_400).enqueue_many([{}] * count)]


def delayed() -> int:
    """Rows that wait until a moment."""
    return Task.objects.filter(hold=Hold.DUE).count()


def moment(in_seconds: float) -> str:
    """In the database's time, to the millisecond."""
    return (database_clock.now() + timedelta(seconds=in_seconds)).isoformat(timespec="milliseconds")


def create_due(count: int, first: str, within_seconds: float, name: str, queue: str) -> None:
    """In calls of a thousand. A task that is not created in time would be none that waits, so that is an error."""
    begin, step = datetime.fromisoformat(first), timedelta(seconds=within_seconds / count)
    for start in range(0, count, TASKS_PER_CALL):
        numbers = range(start, min(start + TASKS_PER_CALL, count))
        made = submission.submit_from_code(
            [EnqueueRequest(name, {}, queue=queue, scheduled_at=begin + number * step) for number in numbers]
        )
        assert all(task.status == TaskStatus.PENDING for task in made), "creation took until the tasks were due"


def late_ms(queue: str, first: str) -> list[float]:
    """None has begun before its moment."""
    found = Task.objects.filter(queue=queue, scheduled_at__gte=datetime.fromisoformat(first), started_at__isnull=False)
    late = [(started - due).total_seconds() * 1000 for due, started in found.values_list("scheduled_at", "started_at")]
    assert min(late) >= 0, f"a task began {-min(late)} ms too early"
    return late


def all_ready_after_seconds(queue: str, first: str) -> float:
    """By the moments that the rows bear."""
    last = Task.objects.filter(queue=queue).aggregate(last=Max("queued_at"))["last"]
    return (last - datetime.fromisoformat(first)).total_seconds()


def change(task_id: str) -> None:
    """Put the moment into a task's title."""
    lifecycle.update(UUID(task_id), {"title": str(time.monotonic_ns())}, database_clock.now())


def end(task_id: str) -> None:
    """Cancel a task."""
    lifecycle.cancel(UUID(task_id), database_clock.now())


def create_arrival() -> None:
    """One task that tells when it begins."""
    dtq_handlers.arrive.enqueue()


def clear() -> None:
    """Empty the tables of tasks; the queue stays."""
    tables = [model._meta.db_table for model in apps.get_app_config("tasks").get_models() if model is not Queue]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, reset_sequences=True))


def make_ready() -> None:
    """Wait until the scheduler has declared the index whole, so that workers are served by Redis."""
    eventually(lambda: redis_index().is_whole(QUEUE), 60)


def waiting() -> int:
    """What is in the index."""
    return redis_index().depth(QUEUE)


def recorded() -> int:
    """Rows that are completed."""
    return Task.objects.filter(status=TaskStatus.COMPLETED).count()


def token() -> str:
    """An access token of an account that may create tasks; the account is made at the first call."""
    return tokens.issue(_account(API_USER, Role.USER), uuid4()).access_token


def worker_token() -> str:
    """A new token of an account of remote workers; the account is made at the first call."""
    return worker_tokens.issue(_account(WORKER_USER, Role.WORKER), name=WORKER_USER).secret


def _account(name: str, role: Role) -> User:
    return User.objects.filter(username=name).first() or registration.create_user(
        username=name,
        email=f"{name}@dtq.example",
        password=None,
        role=role,
        team=registration.team_named(registration.DEFAULT_TEAM),
    )


# --- the references ------------------------------------------------------------------------------------------------


class BareRow:
    """The row of a new task, inserted with nothing done around it: no index, no check, no count."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._statement: tuple[str, list[Any], int] | None = None

    def by_the_orm(self) -> None:
        """`Task.objects.create()` with the values of a real task."""
        Task.objects.create(**{**self._sample(), "id": ids.new(1)[0]})

    def by_the_driver(self) -> None:
        """The same INSERT by the cursor of mysqlclient, with no Django in between."""
        sql, parameters, id_at = self._statement or self._compiled()
        parameters[id_at] = self._as_parameter(ids.new(1)[0])
        with connection.connection.cursor() as cursor:
            cursor.execute(sql, parameters)

    def _sample(self) -> dict[str, Any]:
        if not self._values:
            task = dtq_handlers.count.enqueue()
            self._values = {field.attname: getattr(task, field.attname) for field in Task._meta.concrete_fields}
        return self._values

    def _compiled(self) -> tuple[str, list[Any], int]:
        """What the ORM sends for that row, and where its id stands."""
        seen: list[tuple[str, list[Any]]] = []

        def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append((sql, list(params)))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            task = Task.objects.create(**{**self._sample(), "id": ids.new(1)[0]})
        ((sql, parameters),) = seen
        self._statement = (sql, parameters, parameters.index(self._as_parameter(task.pk)))
        return self._statement

    @staticmethod
    def _as_parameter(id_: Any) -> Any:
        return Task._meta.pk.get_db_prep_value(id_, connection)


_bare = BareRow()
WAYS: dict[str, Callable[[], Any]] = {
    "count.enqueue()": dtq_handlers.count.enqueue,
    "only the row: Task.objects.create()": _bare.by_the_orm,
}
if connection.vendor == "mysql":
    WAYS["only the row: INSERT by mysqlclient"] = _bare.by_the_driver
