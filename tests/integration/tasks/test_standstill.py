"""Which queues stand still, and how little is read to tell."""

from __future__ import annotations

import itertools
from copy import copy
from datetime import datetime

import pytest
from django.db import connection

from dtq_site.foundation.database import ids
from tasks import queues, standstill
from tasks.domain.priority import rank
from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task, TaskAttempt
from tasks.standstill import standing_still
from tests.support.factories import (
    START,
    after,
    claim,
    claimed,
    completed,
    create,
    failed,
    in_state,
    lease_of,
    reap,
    settle,
)
from tests.support.reading import rows_read

SINCE = after(60)
"""What ended before that is of no account."""


def still() -> list[str]:
    return [queue.name for queue in standing_still(Queue.objects.exclude(name="default").order_by("name"), SINCE)]


def test_a_queue_of_which_nothing_has_ever_run_stands_still():
    create(queue="mail")
    create(queue="art")
    claimed(queue="busy")

    assert still() == ["art", "mail"]


@pytest.mark.parametrize("moment", [START, after(61)])
@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.DEAD_LETTER])
def test_a_queue_of_which_something_has_ended_lately_goes_on(status: TaskStatus, moment: datetime):
    create(queue="mail", name="unknown")
    in_state(status, moment, queue="mail")
    create(queue="art")

    assert still() == ["art", *(["mail"] if moment < SINCE else [])]


def test_attempts_that_failed_or_were_lost_are_signs_of_life_although_they_are_repeated():
    settle(failed(lease_of(claimed(after(60), queue="mail"))), now=after(61))
    claimed(after(60), queue="art", begun=True)
    reap(after(3600))

    assert still() == []
    assert set(Task.objects.values_list("status", flat=True)) == {TaskStatus.PENDING, TaskStatus.QUEUED}


def test_every_priority_is_looked_at_in_a_strict_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(standstill, "MOST_LOOKED_AT", 1)
    for priority in (-100, 5, 100):
        in_state(TaskStatus.COMPLETED, START, queue="mail", priority=priority)
    assert still() == ["mail"]

    in_state(TaskStatus.COMPLETED, after(61), queue="mail", priority=20)
    in_state(TaskStatus.COMPLETED, after(62))

    assert still() == []


def test_a_task_that_waited_elsewhere_is_seen_among_the_newest():
    waited = create(START, queue="mail")
    in_state(TaskStatus.COMPLETED, after(30), queue="mail")

    settle(completed(lease_of(*claim([waited], after(61)))), now=after(62))

    assert still() == []


@pytest.mark.parametrize("later", [3600, None], ids=["ageing", "strict"])
def test_places_that_an_ageing_gave_hide_nothing(later: int | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(standstill, "MOST_LOOKED_AT", 4)
    create(queue="mail")
    queues.configure("mail", {"ageing_seconds": 60})
    for second in range(3):
        in_state(TaskStatus.COMPLETED, after(second), queue="mail")
    queues.configure("mail", {"ageing_seconds": later})

    before = still()
    in_state(TaskStatus.COMPLETED, after(61), queue="mail")
    for _ in range(4):
        in_state(TaskStatus.COMPLETED, after(62))

    assert (before, still()) == (["mail"], [])


def test_of_failures_and_of_a_line_that_ages_the_newest_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(standstill, "MOST_LOOKED_AT", 3)
    in_state(TaskStatus.FAILED, after(61), queue="mail")
    for _ in range(2):
        in_state(TaskStatus.FAILED, after(61), queue="art")
    assert still() == []

    in_state(TaskStatus.FAILED, after(61), queue="art")

    assert still() == ["mail"]


@pytest.mark.parametrize("ageing_seconds", [None, 60], ids=["strict", "ageing"])
def test_a_probe_reads_few_rows_however_many_there_are(monkeypatch: pytest.MonkeyPatch, ageing_seconds: int | None):
    if connection.vendor != "mysql":
        pytest.skip("only MariaDB tells what it reads")
    monkeypatch.setattr(standstill, "MOST_LOOKED_AT", 100)
    _fill(queues=("art", "mail"), each=500)
    Queue.objects.update(ageing_seconds=ageing_seconds)
    named = list(Queue.objects.filter(name__in=("art", "mail")).order_by("name"))
    before = rows_read()

    found = standing_still(named, SINCE)

    assert rows_read() - before < (250 if ageing_seconds is None else 550)
    assert found == named


def _fill(*, queues: tuple[str, ...], each: int) -> None:
    """Have many tasks that wait, have completed or failed, the latter with attempts, all of them long ago."""
    pattern, rows = create(queue=queues[0]), []
    create(queue=queues[1])
    kinds = itertools.product(
        (TaskStatus.QUEUED, TaskStatus.COMPLETED, TaskStatus.FAILED), queues, (5, 10), range(each)
    )
    for status, queue, priority, number in kinds:
        task = copy(pattern)
        (task.pk,) = ids.new()
        task.status, task.queue, task.priority, task.completed_at = status, queue, priority, START
        task.ready_ms, task.rank = number, rank(priority, number)
        rows.append(task)
    Task.objects.bulk_create(rows, batch_size=1000)
    ends = [
        TaskAttempt(task=task, attempt=1, fencing_token=1, ending="failed", ended_at=START) for task in rows[-each:]
    ]
    TaskAttempt.objects.bulk_create(ends, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE tasks_task, tasks_taskattempt")
        cursor.fetchall()
