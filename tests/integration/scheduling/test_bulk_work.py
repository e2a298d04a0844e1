"""The duty that does what was asked for many tasks: in turn, to the end, and once when two schedulers do it."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties.bulk_work import BulkWork
from tasks import bulk
from tasks.bulk import BulkVerb
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter
from tasks.models import BulkRequest, Task
from tests.support.factories import START, ManualClock, after, create, in_own_connection, in_state, reread


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks are a chunk."""
    monkeypatch.setattr(bulk, "CHUNK", 2)


def a_duty() -> tuple[BulkWork, Recorder]:
    heard = Recorder()
    return BulkWork(Observer(heard), ManualClock(), None), heard


def ask(verb: BulkVerb, wanted: TaskFilter) -> UUID:
    assert bulk.request(verb, wanted, after(1)).done == 0
    return bulk.unfinished()[-1]


def test_two_requests_are_done_in_turn(committed_db: None):
    mail = [create(queue="mail") for _ in range(5)]
    dead = [in_state(TaskStatus.DEAD_LETTER, queue="art") for _ in range(3)]
    ask(BulkVerb.CANCEL, TaskFilter(queue="mail"))
    ask(BulkVerb.RETRY, TaskFilter(queue="art"))
    duty, heard = a_duty()

    assert duty.perform(after(2)) == 0.0
    assert [reread(task).status for task in mail] == ["CANCELLED"] * 2 + ["QUEUED"] * 3
    assert [reread(task).status for task in dead] == ["QUEUED"] * 2 + ["DEAD_LETTER"]
    rests = [duty.perform(after(2)) for _ in range(3)]

    assert rests == [0.0, duty.period_seconds, duty.period_seconds]
    assert {reread(task).status for task in mail} == {"CANCELLED"}
    assert {reread(task).status for task in dead} == {"QUEUED"}
    assert not BulkRequest.objects.exists()
    assert [(event.name, event.facts) for event in heard.events] == [
        ("bulk.finished", {"verb": "retry", "tasks": 3}),
        ("bulk.finished", {"verb": "cancel", "tasks": 5}),
    ]


def test_two_schedulers_at_once_do_each_task_once(committed_db: None):
    tasks = [create() for _ in range(9)]
    request_id = ask(BulkVerb.CANCEL, TaskFilter(queue="default"))
    done: list[int] = []

    def work() -> None:
        while (step := bulk.advance(request_id, START)) is not None:
            if step.finished:
                done.append(step.done)

    threads = [threading.Thread(target=in_own_connection, args=(work,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == [9]
    assert {row.version for row in Task.objects.filter(pk__in=[task.pk for task in tasks])} == {2}
