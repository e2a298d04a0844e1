"""What scheduling adds to why a task is not running."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from scheduling import schedules
from scheduling.runtime.leader import acquire
from tasks import explanation
from tasks.domain.reasons import Reason, ReasonCode
from tasks.models import Task
from tests.integration.scheduling.making import again, at, cancel, coming, end, last, make, start
from tests.support.factories import after, claimed, create, failed, lease_of, reread, settle, waiting

WORKERS = {ReasonCode.NO_WORKER}
"""What workers say, of which there are none here."""


def reasons(task: Task, now: datetime) -> list[Reason]:
    return [reason for reason in explanation.explain(reread(task), now) if reason.code not in WORKERS]


def codes(task: Task, now: datetime) -> list[str]:
    return [reason.code for reason in reasons(task, now)]


def lead(now: datetime) -> None:
    acquire(uuid4(), timedelta(seconds=6), now)


@pytest.mark.parametrize("backoff", [False, True])
def test_what_is_due_while_no_scheduler_runs_says_so(backoff: bool):
    task = claimed() if backoff else waiting()
    if backoff:
        settle(failed(lease_of(task)))
    code = ReasonCode.BACKOFF if backoff else ReasonCode.DUE_LATER

    assert codes(task, after(0.5)) == [code]
    due, nobody = reasons(task, after(61))
    assert (due.code, nobody.code) == (code, ReasonCode.NO_SCHEDULER)
    assert due.message == f"It has been due since {reread(task).scheduled_at:%Y-%m-%d %H:%M:%S} UTC."
    assert nobody.message == "No scheduler runs that would make it ready."

    lead(after(61))
    assert codes(task, after(62)) == [code]


def test_what_waits_for_something_else_or_is_ready_does_not_care_for_schedulers():
    ready, locked = create(), create(lock="a")
    Task.objects.filter(pk=locked.pk).update(status="PENDING", hold="lock", scheduled_at=after(0))

    assert codes(ready, after(61)) == []
    assert codes(locked, after(61)) == [ReasonCode.LOCK_HELD]


def test_an_occurrence_that_waits_for_the_one_before_names_it():
    made = make(overlap_policy="QUEUE_ONE")
    lead(at(14))
    schedules.fire(made.pk, at(13))
    running = start(last(made), at(13))
    assert codes(coming(made), at(13, 30)) == [ReasonCode.SCHEDULED]
    schedules.fire(made.pk, at(14))

    scheduled, overlap = reasons(coming(made), at(14))
    assert (scheduled.code, scheduled.message) == (
        ReasonCode.SCHEDULED,
        "It has been due since 2030-01-01 14:00:00 UTC.",
    )
    assert (overlap.code, overlap.task_id) == (ReasonCode.OVERLAP, running.pk)
    assert str(running.pk) in overlap.message

    end(running, at(14, 5))
    schedules.fire(made.pk, at(14, 5))
    assert again(made).behind_task_id is None
    assert ReasonCode.OVERLAP not in codes(last(made), at(14, 6))


def test_an_occurrence_that_is_due_while_no_scheduler_runs_says_so():
    made = make()

    assert codes(coming(made), at(13, 0, 1)) == [ReasonCode.SCHEDULED, ReasonCode.NO_SCHEDULER]

    cancel(coming(made), at(13))
    assert codes(coming(made), at(13, 0, 1)) == [ReasonCode.CANCELLED]
