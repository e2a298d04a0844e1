"""The scheduler process from its start to its end, and one that performs its duties once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import OperationalError

from dtq_site.foundation.clock import DatabaseClock, host_now
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.observer import Observer, Recorder
from dtq_site.foundation.service import ServiceGroup
from scheduling import selectors
from scheduling.duties.promoter import Promoter
from scheduling.duties.retention import LogRetention
from scheduling.models import DutyRecord
from scheduling.runtime.leader import Leader, acquire
from scheduling.runtime.scheduler import DUTIES, Scheduler
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tests.support.factories import bare_row, claimed, create, in_state, reread


@pytest.mark.parametrize(("stuck", "facts"), [([], {}), (["reaper", "promoter"], {"stuck": "reaper,promoter"})])
def test_the_end_names_what_is_stuck_if_anything_is(
    stuck: list[str], facts: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ServiceGroup, "start", lambda group: None)
    monkeypatch.setattr(ServiceGroup, "stop", lambda group, seconds: stuck)
    recorder = Recorder()
    scheduler = Scheduler(Observer(recorder), DatabaseClock(host_now))
    scheduler.stop()

    scheduler.run()

    (event,) = recorder.named("scheduler.stopped")
    assert event.facts == facts


def test_it_ends_in_peace_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch):
    def away(*_: object) -> None:
        raise OperationalError(2002, "Can't connect to server")

    monkeypatch.setattr(ServiceGroup, "start", lambda group: None)
    monkeypatch.setattr(Leader, "resign", away)
    recorder = Recorder()
    scheduler = Scheduler(Observer(recorder), DatabaseClock(host_now))
    scheduler.stop()

    scheduler.run()

    assert [event.name for event in recorder.events] == ["scheduler.ready", "scheduler.stopped"]


# --- once ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def scheduler() -> Scheduler:
    """One that was not started, on the database's time."""
    return Scheduler(Observer(Recorder()), database_clock)


def test_once_performs_every_duty_to_its_end_and_writes_down_what_it_did(scheduler: Scheduler):
    now = database_clock.now()
    due = create(now - timedelta(hours=1), scheduled_at=now - timedelta(seconds=1))
    old = in_state(TaskStatus.COMPLETED, now - timedelta(days=40))
    lost = bare_row(now)

    assert scheduler.run_to_the_end() == []

    assert reread(due).status == TaskStatus.QUEUED
    assert not Task.objects.filter(pk=old.pk).exists()
    assert {hint.id for hint in redis_index().take("default", {"job"}, 9)} == {due.pk, lost.pk}
    records = {record.name: record for record in DutyRecord.objects.all()}
    assert set(records) == {duty.name for duty in DUTIES}
    assert all(record.succeeded_at >= now and record.failures == 0 for record in records.values())
    assert all(record.expected_at > database_clock.now() + timedelta(minutes=4) for record in records.values())
    assert (records["promoter"].treated, records["task retention"].treated) == (1, 1)
    assert not selectors.has_leader(database_clock.now())


def test_a_duty_that_fails_stops_no_other_and_is_named(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> float:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Promoter, "perform", broken)
    monkeypatch.setattr(LogRetention, "perform", broken)
    old = in_state(TaskStatus.COMPLETED, database_clock.now() - timedelta(days=40))

    assert scheduler.run_to_the_end() == ["promoter", "log retention"]

    assert not Task.objects.filter(pk=old.pk).exists()
    records = {record.name: record for record in DutyRecord.objects.all()}
    assert (records["promoter"].failures, records["promoter"].error) == (1, "ZeroDivisionError('a defect')")
    assert (records["log retention"].failures, records["task retention"].failures) == (1, 0)


def test_once_reaps_only_what_could_have_been_renewed_for_a_whole_lease(scheduler: Scheduler, settings: Any):
    settings.DTQ_WORKERS = replace(settings.DTQ_WORKERS, lease=timedelta(seconds=2))
    task = claimed(database_clock.now() - timedelta(minutes=1), begun=True)
    began = database_clock.now()

    assert scheduler.run_to_the_end() == []

    assert reread(task).lost_leases == 1
    assert database_clock.now() - began >= timedelta(seconds=2)


def test_while_another_scheduler_leads_once_leaves_the_reaping_to_it(scheduler: Scheduler):
    now = database_clock.now()
    acquire(uuid4(), timedelta(minutes=1), now)
    task = claimed(now - timedelta(minutes=1), begun=True)
    due = create(now - timedelta(hours=1), scheduled_at=now - timedelta(seconds=1))

    assert scheduler.run_to_the_end() == []

    assert (reread(task).status, reread(due).status) == (TaskStatus.PROCESSING, TaskStatus.QUEUED)
    assert selectors.has_leader(database_clock.now())


@pytest.mark.parametrize(("failed", "code"), [([], 0), (["promoter"], 1)])
def test_the_exit_code_of_once_says_whether_all_succeeded(
    failed: list[str], code: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Scheduler, "run_to_the_end", lambda _: failed)

    with pytest.raises(SystemExit) as ended:
        call_command("runscheduler", "--once")

    assert ended.value.code == code
