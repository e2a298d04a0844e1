"""What a dead process left on disk meets the rows: its lease proves it, whoever delivers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtq_site.foundation.database import database_clock
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskAttempt, TaskLog
from tests.support.factories import OTHER_WORKER, claimed, completed, failed, lease_of, reap, reread, row
from workers.domain.card import WorkerCard
from workers.offline.folder import OutboxFolder
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable
from workers.runtime.reporter import Reporter
from workers.transports.base import Note
from workers.transports.direct import DirectTransport


@pytest.fixture
def folder(tmp_path: Path) -> OutboxFolder:
    return OutboxFolder(Observer(), tmp_path / "outbox", 1024 * 1024)


def left_behind(folder: OutboxFolder, *outcomes, notes=()) -> None:
    """Keep outcomes as a process does that dies then."""
    store = folder.new_store()
    store.keep(outcomes, notes)
    folder.release(store)


def deliver(folder: OutboxFolder) -> Recorder:
    """Run the reporter of another worker until nothing is left."""
    heard = Recorder()
    card = WorkerCard(OTHER_WORKER, "next", "host", 1, (), {}, 1, "direct", "1")
    reporter = Reporter(Observer(heard), DirectTransport(card), HeldAttempts(HeldTable(1)), folder)
    while reporter.run_once() == 0:
        continue
    assert folder.inherit() is None
    return heard


def test_another_worker_completes_what_its_predecessor_has_done(folder):
    task = claimed(database_clock.now())
    left_behind(folder, completed(lease_of(task), {"answer": 42}), notes=[Note(lease_of(task), 1, 1, "info", "said")])

    deliver(folder)

    done = reread(task)
    assert (done.status, done.result, done.attempts) == (TaskStatus.COMPLETED, {"answer": 42}, 1)
    assert list(TaskLog.objects.filter(task_id=task.pk).values_list("sequence", "message")) == [(1, "said")]


def test_what_was_recorded_before_the_end_changes_nothing(folder):
    task = claimed(database_clock.now())
    left_behind(folder, completed(lease_of(task), "first"))
    deliver(folder)
    before = row(task)

    left_behind(folder, completed(lease_of(task), "first"))
    deliver(folder)

    assert row(task) == before


def test_a_success_counts_though_the_lease_has_ended_as_long_as_nobody_runs_the_task_again(folder):
    task = claimed(database_clock.now())
    reap(database_clock.now().replace(year=2100))
    assert reread(task).status == TaskStatus.QUEUED
    left_behind(folder, completed(lease_of(task), "done"))

    deliver(folder)

    done = reread(task)
    assert (done.status, done.result, done.attempts, done.lost_leases) == (TaskStatus.COMPLETED, "done", 1, 1)


def test_what_came_too_late_is_kept_as_evidence_and_not_tried_again(folder):
    task = claimed(database_clock.now())
    reap(database_clock.now().replace(year=2100))
    left_behind(folder, failed(lease_of(task), "it broke"))
    before = row(task)

    deliver(folder)

    assert row(task) == before
    assert "it broke" in TaskAttempt.objects.get(task_id=task.pk, ending="refused").error


def test_what_is_left_of_a_task_that_is_gone_holds_up_no_other(folder):
    gone, there = claimed(database_clock.now()), claimed(database_clock.now())
    lease = lease_of(gone)
    Task.objects.filter(pk=gone.pk).delete()
    left_behind(
        folder,
        completed(lease),
        completed(lease_of(there), "done"),
        notes=[Note(lease, 1, 1, "info", "of the gone one")],
    )

    deliver(folder)

    assert (reread(there).status, reread(there).result) == (TaskStatus.COMPLETED, "done")
    assert not Task.objects.filter(pk=gone.pk).exists()
