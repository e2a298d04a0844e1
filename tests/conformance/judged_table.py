"""DTQ in the place of the table and the worker of django-tasks-db, as far as that package's tests of a back end ask for them."""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

from django.db import transaction
from django.test import TransactionTestCase

from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.backend import DTQBackend
from tasks.domain.states import TaskStatus
from tasks.handling import registry
from tasks.models import Queue, Task
from tests.support.handlers import RecordingSink, make_context
from workers import gateway
from workers.gateway import Caller
from workers.runtime.ending import judge

WORKER = uuid.uuid4()
CLOCKS_APART = timedelta(milliseconds=500)
"""The tests go by this host's clock; ours, the database's, may be a little behind."""


class Rows:
    """The rows of tasks under the names by which the tests ask for them."""

    def __init__(self, found: Any = None) -> None:
        self._found = Task.objects.all() if found is None else found

    def count(self) -> int:
        return int(self._found.count())

    def ready(self) -> Rows:
        return Rows(self._found.filter(status=TaskStatus.QUEUED))

    def successful(self) -> Rows:
        return Rows(self._found.filter(status=TaskStatus.COMPLETED))

    def failed(self) -> Rows:
        return Rows(self._found.filter(status=TaskStatus.FAILED))

    def filter(self, **which: Any) -> Rows:
        return Rows(self._found.filter(**which))

    def update(self, run_after: Any) -> None:
        for task in self._found:
            lifecycle.update(task.pk, {"scheduled_at": run_after}, database_clock.now() + CLOCKS_APART)


def run_worker(queue_name: str = "default", exclude_queues: str = "", backend_name: str = "default", **_: Any) -> None:
    """Run all that is ready in these queues, as a worker of DTQ does between a claim and its report."""
    if backend_name != "default":
        return
    queues = set(Queue.objects.values_list("name", flat=True)) if queue_name == "*" else {queue_name}
    names = frozenset(registry.registered())
    caller = Caller(WORKER, names, frozenset(queues - {exclude_queues}), None)
    later: list[Callable[[], None]] = []
    lease = timedelta(minutes=1)
    while claimed := gateway.claim(caller, uuid.uuid4(), 10, lease, from_database=True, later=later.append):
        gateway.report([_performed(task) for task in claimed])


def _performed(task: Any) -> Any:
    handler = registry.registered()[task.name]
    context = make_context(RecordingSink(), task_id=str(task.lease.task_id), attempt=task.attempt)
    result, raised = None, None
    try:
        returned = handler.function(context, **handler.bind(task.payload))
        result = asyncio.run(returned) if handler.is_async else returned
    except BaseException as error:
        raised = error
    return judge(task, 0.1, result=result, raised=raised, to_end=False)


def stand_in() -> None:
    """Let the modules of django-tasks-db be ours, and its count of statements hold for nobody else."""
    table = SimpleNamespace(objects=Rows())
    _module("django_tasks_db", DatabaseBackend=DTQBackend, compat=None)
    _module("django_tasks_db.admin", DBTaskResultAdmin=None)
    _module("django_tasks_db.models", DBTaskResult=table, get_date_max=None)
    _module("django_tasks_db.utils", exclusive_transaction=transaction.atomic, normalize_uuid=None)
    _module("django_tasks_db.management")
    _module("django_tasks_db.management.commands")
    _module("django_tasks_db.management.commands.prune_db_task_results", logger=logging.getLogger("django_tasks_db"))
    TransactionTestCase.assertNumQueries = lambda *_: nullcontext()


def _module(name: str, **contents: Any) -> None:
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(contents)
