"""Claims at the door, as tests make them: by a clock that stands still, with an index that is whole when they say so."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from typing import Any

from tasks import lifecycle, queues
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.support.factories import LEASE, START, WORKER, ManualClock, after, forget_what_processes_remember, new_task
from workers import gateway
from workers.gateway import Caller

CLOCK = ManualClock(after(60))


def caller(*names: str, queues: Collection[str] = (), team_id: uuid.UUID | None = None) -> Caller:
    return Caller(WORKER, frozenset(names or {"job"}), frozenset(queues), team_id)


def claim(limit: int, who: Caller | None = None, **options: Any) -> list[Task]:
    leased = gateway.claim(who or caller(), uuid.uuid4(), limit, LEASE, clock=CLOCK, **options)
    return [Task.objects.get(pk=each.lease.task_id) for each in leased]


def whole(*names: str) -> RedisIndex:
    """The index, whole for these queues, `default` if none is named."""
    index = redis_index()
    for name in names or ("default",):
        queues.ensure([name], START)
        Reconciliation(index, name).ensure_whole()
    return index


def fill(**counts: int) -> None:
    """So many ready tasks in each queue, in an index that is whole."""
    whole(*counts)
    lifecycle.create([new_task(queue=queue) for queue, count in counts.items() for _ in range(count)], START)
    forget_what_processes_remember()


def by_queue(tasks: list[Task]) -> Counter[str]:
    return Counter(task.queue for task in tasks)
