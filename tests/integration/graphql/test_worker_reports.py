"""What attempts tell while they run and when they end: each counts once, and late ones are evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks.domain.states import TaskStatus
from tasks.models import TaskAttempt, TaskLog
from tests.integration.graphql.making import make_identity, make_task, row
from tests.integration.graphql.working import NAME, expire, refused, reread, send_as
from tests.support.worker_client import WorkerClient, completed, failed, key

pytestmark = pytest.mark.django_db


def test_log_lines_and_progress_are_kept_once(worker: WorkerClient):
    make_task()
    (lease,) = worker.claim()
    lines = [{"sequence": 1, "message": "half", "level": "warning"}, {"sequence": 2, "message": "\ud800" * 5000}]
    record = {**key(lease), "attempt": 1, "progress": 50, "logs": lines}

    assert [worker.record(record), worker.record(record)] == [2, 2]

    assert reread(lease).progress == 50
    kept = TaskLog.objects.order_by("sequence").values_list("sequence", "level", "message", "attempt")
    assert [(*line[:2], line[2][:4], line[3]) for line in kept] == [(1, "warning", "half", 1), (2, "info", "\\ud8", 1)]


def test_lines_of_a_lost_lease_are_evidence_and_those_of_strangers_are_not_kept(worker: WorkerClient):
    make_task()
    foreign = make_task("blue")
    (old,) = worker.claim()
    expire(old)
    (new,) = worker.claim()
    lines = {"attempt": 1, "logs": [{"sequence": 1, "message": "hm"}]}

    taken = worker.record(
        {**key(old), **lines},
        {**key(new), **lines, "claimId": str(uuid4())},
        {**key(new), **lines, "fencingToken": 3},
        {**key(new), **lines, "taskId": str(foreign.pk)},
        {**key(new), **lines, "taskId": str(uuid4())},
    )

    assert taken == 1
    assert list(TaskLog.objects.values_list("task_id", "fencing_token")) == [(UUID(old["taskId"]), 1)]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"attempt": 0}, "records[0].attempt"),
        ({"attempt": 1, "progress": 101}, "records[0].progress"),
        ({"attempt": 1, "logs": [{"sequence": -1, "message": ""}]}, "records[0].logs"),
        ({"attempt": 1, "logs": [{"sequence": n, "message": ""} for n in range(1001)]}, "records"),
    ],
)
def test_what_an_attempt_tells_has_limits(worker: WorkerClient, record: dict[str, Any], field: str):
    make_task()
    (lease,) = worker.claim()

    assert refused(lambda: worker.record({**key(lease), **record})) == ("BAD_USER_INPUT", field)
    assert (TaskLog.objects.count(), reread(lease).progress) == (0, None)


# --- outcomes ------------------------------------------------------------------------------------------------------


def test_an_outcome_counts_once(worker: WorkerClient):
    make_task()
    (lease,) = worker.claim()

    assert worker.report(completed(lease, {"n": 1})) == ["ACCEPTED"]
    assert worker.report(completed(lease, {"n": 2}), completed(lease, {"n": 3})) == ["DUPLICATE", "DUPLICATE"]
    assert (reread(lease).status, reread(lease).result) == (TaskStatus.COMPLETED, {"n": 1})


def test_each_kind_of_outcome_is_followed_by_what_it_asks_for(worker: WorkerClient):
    for _ in range(3):
        make_task()
    later, never, soon = worker.claim(3)

    worker.report(
        failed(later, "try later", retryDelaySeconds=3600.0),
        {**failed(never, "no use"), "kind": "DISCARDED"},
        failed(soon),
    )

    now = database_clock.now()
    assert reread(later).scheduled_at > now + timedelta(minutes=59)
    assert (reread(never).status, reread(never).error) == (TaskStatus.FAILED, "no use")
    assert (reread(soon).status, reread(soon).failures) == (TaskStatus.PENDING, 1)


def test_a_late_outcome_is_evidence_and_changes_nothing(worker: WorkerClient):
    task = make_task()
    (old,) = worker.claim()
    expire(old)
    (new,) = worker.claim()
    before = row(task)

    assert worker.report(completed(old, "late")) == worker.report(completed(old, "late")) == ["STALE_LEASE"]
    assert row(task) == before
    assert [(each.ending, each.fencing_token) for each in TaskAttempt.objects.order_by("pk")] == [
        ("lost", 1),
        ("refused", 1),
    ]
    assert worker.report(completed(new, "in time")) == ["ACCEPTED"]


def test_of_a_stranger_s_task_nothing_is_kept(worker: WorkerClient):
    theirs = make_task("blue")
    other = WorkerClient(send_as(make_identity(Role.WORKER, "blue")), NAME)
    (lease,) = other.claim()
    before = row(theirs)

    guess = {**key(lease), "claimId": str(uuid4())}
    assert worker.report(completed(guess), completed({**guess, "taskId": str(uuid4())})) == ["STALE_LEASE"] * 2
    assert (row(theirs), TaskAttempt.objects.count()) == (before, 0)


def test_a_result_that_is_too_large_fails_its_own_task_alone(worker: WorkerClient):
    make_task(), make_task()
    large, small = worker.claim(2)

    assert worker.report(completed(large, "x" * 300_000), completed(small)) == ["ACCEPTED", "ACCEPTED"]
    assert (reread(large).status, reread(small).status) == (TaskStatus.FAILED, TaskStatus.COMPLETED)
    assert reread(large).error.startswith("result cannot be stored")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"runSeconds": -1.0}, "outcomes[0].runSeconds"),
        ({"retryDelaySeconds": -1.0}, "outcomes[0].retryDelaySeconds"),
        ({"retryDelaySeconds": 1e12}, "outcomes[0].retryDelaySeconds"),
    ],
)
def test_an_outcome_has_limits(worker: WorkerClient, fields: dict[str, Any], field: str):
    task = make_task()
    (lease,) = worker.claim()
    before = row(task)

    assert refused(lambda: worker.report(failed(lease, **fields))) == ("BAD_USER_INPUT", field)
    assert row(task) == before
