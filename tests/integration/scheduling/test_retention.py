"""What is removed when it has been kept long enough: by which period, at which hour, in which chunks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session

from accounts import audit
from accounts.models import AuditEntry
from scheduling.duties import retention
from scheduling.duties.retention import REMOVALS, AccountRetention, LogRetention, TaskRetention, WorkerRetention
from scheduling.models import DutyRecord
from tasks import audit as task_audit
from tasks import lifecycle
from tasks.audit import LogLine
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskLog
from tests.integration.scheduling.performing import make_duty
from tests.support.factories import START, after, claimed, create, in_state
from workers import presence
from workers.domain.card import WorkerCard
from workers.models import Worker

DAY = 86_400
FAR = after(365 * DAY)
TONIGHT = datetime(2030, 1, 2, 2, tzinfo=UTC)


def keep(settings: Any, **periods: timedelta) -> None:
    settings.DTQ_SCHEDULING = replace(settings.DTQ_SCHEDULING, **periods)


def has_done(name: str, moment: datetime) -> None:
    """Have the record say that a duty was through at that moment."""
    DutyRecord.objects.update_or_create(name=name, defaults={"succeeded_at": moment})


# --- what ----------------------------------------------------------------------------------------------------------


def test_how_long_a_task_is_kept_depends_on_how_it_ended_and_one_that_has_not_is_kept_for_ever(settings: Any):
    periods = {"completed": 1, "cancelled": 2, "failed": 3, "dead_letter": 4}
    keep(settings, **{f"{status}_retention": timedelta(days=days) for status, days in periods.items()})
    by_age = {age: [in_state(status, after(-age * DAY)) for status in TaskStatus] for age in (0.9, 1.5, 2.5, 3.5, 4.5)}
    duty, heard = make_duty(TaskRetention)

    duty.perform(START)

    alive = {TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.PROCESSING}
    left = {age: {task.status for task in tasks if Task.objects.filter(pk=task.pk)} for age, tasks in by_age.items()}
    assert left == {
        0.9: set(TaskStatus),
        1.5: set(TaskStatus) - {TaskStatus.COMPLETED},
        2.5: alive | {TaskStatus.FAILED, TaskStatus.DEAD_LETTER},
        3.5: alive | {TaskStatus.DEAD_LETTER},
        4.5: alive,
    }
    assert [event.facts for event in heard.named("rows.removed")] == [{"duty": "task retention", "rows": 10}]
    assert duty.progress.account.treated == 10


def test_the_periods_by_default():
    for days in (29, 31, 89, 91):
        for status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.FAILED, TaskStatus.DEAD_LETTER):
            in_state(status, after(-days * DAY))

    make_duty(TaskRetention)[0].perform(START)

    kept = sorted((START - task.completed_at).days for task in Task.objects.all())
    assert kept == [29, 29, 29, 29, 31, 31, 89, 89]


def test_old_log_lines_go_before_the_task_does():
    task = claimed()
    for number, age in enumerate((40, 31, 29, 0)):
        line = LogLine(task.pk, task.fencing_token, number, 1, "info", str(age))
        task_audit.record_lines([line], after(-age * DAY))
    duty, _ = make_duty(LogRetention)

    duty.perform(START)

    assert list(TaskLog.objects.order_by("pk").values_list("message", flat=True)) == ["29", "0"]
    assert duty.progress.account.treated == 2


def test_a_silent_worker_is_forgotten_after_a_day_unless_it_holds_a_task():
    for name, seconds in (("old", 0), ("holds", 0), ("young", 3600)):
        presence.sign_on(WorkerCard(uuid4(), name, "h", 1, (), {}, 1, "direct", "0"), after(seconds))
    task = claimed()
    Task.objects.filter(pk=task.pk).update(lease_owner=Worker.objects.get(name="holds").pk)

    make_duty(WorkerRetention)[0].perform(after(DAY + 1))

    assert set(Worker.objects.values_list("name", flat=True)) == {"holds", "young"}


def test_expired_sessions_and_old_entries_of_the_audit_log_go():
    for number, days in enumerate((-1, 1)):
        Session.objects.create(session_key=str(number), session_data="", expire_date=after(days * DAY))
    for action in ("old", "young"):
        audit.record(None, action, "queue:mail")
    AuditEntry.objects.filter(action="old").update(at=after(-366 * DAY))
    AuditEntry.objects.filter(action="young").update(at=after(-364 * DAY))
    duty, _ = make_duty(AccountRetention)

    duty.perform(START)

    assert list(Session.objects.values_list("session_key", flat=True)) == ["1"]
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["young"]
    assert duty.progress.account.treated == 2


# --- in chunks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)


def test_it_rests_between_two_chunks_for_as_long_as_one_has_taken(chunks_of_two: None, monkeypatch: pytest.MonkeyPatch):
    for _ in range(3):
        in_state(TaskStatus.COMPLETED)
    readings = iter([0.0, 0.7, 1.0, 1.01])
    monkeypatch.setattr(retention, "elapsed_clock", lambda: next(readings))
    duty, heard = make_duty(TaskRetention)

    rest = duty.perform(FAR)
    assert (rest, duty.is_through, Task.objects.count()) == (pytest.approx(0.7), False, 1)
    rest = duty.perform(FAR)
    assert (duty.is_through, Task.objects.count()) == (True, 0)
    assert rest == pytest.approx(600)
    assert [event.facts["rows"] for event in heard.named("rows.removed")] == [2, 1]


@pytest.mark.parametrize("kind", REMOVALS)
def test_to_the_end_is_all_chunks_at_any_hour(kind: Any, chunks_of_two: None, monkeypatch: pytest.MonkeyPatch):
    left = [5]

    def remove(*_: object) -> int:
        gone = min(left[0], 2)
        left[0] -= gone
        return gone

    monkeypatch.setattr(kind, "remove", lambda self, options, now: self._count([remove()]))
    duty, _ = make_duty(kind)
    has_done(kind.name, START)

    duty.perform_to_the_end()

    assert left == [0] and duty.progress.account.treated == 5
    assert duty.progress.account.succeeded_at is not None


def test_what_others_depend_on_stays_until_they_have_ended_and_holds_up_nothing(chunks_of_two: None):
    from tasks import submission
    from tasks.domain.submission import Request
    from tasks.submission import Owner
    from tests.support.factories import ManualClock, make_team

    parents = [in_state(TaskStatus.FAILED) for _ in range(3)]
    wanted = Request(name="job", depends_on=[str(parent.pk) for parent in parents], on_dependency_failure="HOLD")
    submission.submit([wanted], Owner(make_team().pk, None), ManualClock())
    for _ in range(3):
        in_state(TaskStatus.FAILED)
    duty, _ = make_duty(TaskRetention)

    duty.perform_to_the_end()
    for _ in range(3):
        duty.perform(FAR)

    assert set(Task.objects.filter(status=TaskStatus.FAILED)) == set(parents)


# --- when ----------------------------------------------------------------------------------------------------------


def test_it_removes_once_a_day_at_two_in_the_night():
    duty, _ = make_duty(TaskRetention)
    has_done(duty.name, datetime(2030, 1, 1, 2, 0, 30, tzinfo=UTC))
    old = in_state(TaskStatus.COMPLETED, after(-40 * DAY))

    assert duty.perform(START) == pytest.approx(600)
    assert duty.perform(TONIGHT - timedelta(seconds=1)) == pytest.approx(1)
    assert Task.objects.filter(pk=old.pk).exists()
    assert duty.perform(TONIGHT) == pytest.approx(600)
    assert not Task.objects.filter(pk=old.pk).exists()


def test_the_hour_is_a_setting(settings: Any):
    settings.DTQ_SCHEDULING = replace(settings.DTQ_SCHEDULING, retention_hour=13)
    duty, _ = make_duty(TaskRetention)
    has_done(duty.name, after(-22 * 3600))
    old = in_state(TaskStatus.COMPLETED, after(-40 * DAY))

    assert duty.perform(after(3599)) == pytest.approx(1)
    assert Task.objects.filter(pk=old.pk).exists()
    duty.perform(after(3600))
    assert not Task.objects.filter(pk=old.pk).exists()


def test_a_night_that_no_scheduler_saw_is_made_up_for():
    duty, _ = make_duty(TaskRetention)
    has_done(duty.name, datetime(2029, 12, 31, 2, tzinfo=UTC))
    old = in_state(TaskStatus.COMPLETED, after(-40 * DAY))

    duty.perform(START)

    assert not Task.objects.filter(pk=old.pk).exists()


def test_a_scheduler_that_takes_over_in_the_midst_goes_on_and_one_that_comes_later_rests(chunks_of_two: None):
    for _ in range(3):
        in_state(TaskStatus.COMPLETED, after(-40 * DAY))
    first, second, third = (make_duty(TaskRetention)[0] for _ in range(3))
    first.perform(START)

    second.perform(after(10))
    assert Task.objects.count() == 0
    in_state(TaskStatus.COMPLETED, after(-40 * DAY))
    has_done(second.name, after(10))
    third.perform(after(20))

    assert Task.objects.count() == 1


def test_what_is_locked_by_somebody_is_removed_later_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch):
    old, retried = in_state(TaskStatus.FAILED), in_state(TaskStatus.FAILED)
    locked = lifecycle.upkeep.locked

    def retried_meanwhile(*given: Any, **columns: Any) -> list[Task]:
        monkeypatch.setattr(lifecycle.upkeep, "locked", locked)
        lifecycle.retry(retried.pk, FAR)
        return locked(*given, **columns)

    monkeypatch.setattr(lifecycle.upkeep, "locked", retried_meanwhile)
    make_duty(TaskRetention)[0].perform(FAR)

    assert list(Task.objects.all()) == [retried] and Task.objects.get().status == TaskStatus.QUEUED
    assert not Task.objects.filter(pk=old.pk).exists()
    assert create().pk is not None
