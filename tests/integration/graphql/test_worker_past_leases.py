"""What a worker may still say and create under a lease that is over: only if it held it, and then whatever came since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.models import Task, TaskAttempt, TaskLog
from tests.integration.graphql.making import finish, make_identity, make_task
from tests.integration.graphql.working import NAME, expire, refused, send_as, with_token
from tests.support.worker_client import Lease, WorkerClient, completed, failed, key

pytestmark = pytest.mark.django_db

CHILD = {"name": "child", "idempotencyKey": "k"}
LINES = {"attempt": 1, "logs": [{"sequence": 1, "message": "hm"}]}


def stranger(identity: Identity) -> WorkerClient:
    """A worker of the same account, whose token is for a queue in which there is nothing."""
    return WorkerClient(send_as(with_token(identity, "mail")), NAME)


def guesses(task_id: Any, tokens: int) -> list[dict[str, Any]]:
    return [
        {"taskId": str(task_id), "fencingToken": token, "claimId": str(claim)}
        for token in range(1, tokens + 1)
        for claim in (uuid4(), UUID(int=0))
    ]


def assert_refused(worker: WorkerClient, *leases: Lease) -> None:
    tasks, lines = Task.objects.count(), TaskLog.objects.count()

    for lease in leases:
        assert refused(lambda lease=lease: worker.enqueue(lease, CHILD)) == ("NOT_FOUND", "parent")
        assert worker.record({**key(lease), **LINES}) == 0

    assert (Task.objects.count(), TaskLog.objects.count()) == (tasks, lines)


def retried(lease: Lease) -> None:
    """The task is run again for a person, whatever waits for a moment."""
    lifecycle.retry(UUID(lease["taskId"]), database_clock.now())


def over(lease: Lease) -> None:
    """A cancelled attempt of which nothing more is heard."""
    Task.objects.filter(pk=lease["taskId"]).update(lease_expires_at=database_clock.now() - timedelta(seconds=1))
    lifecycle.reap_cancelled(database_clock.now())


def fails(worker: WorkerClient, lease: Lease) -> None:
    worker.report({**failed(lease), "kind": "DISCARDED"})
    retried(lease)


def is_lost(worker: WorkerClient, lease: Lease) -> None:
    expire(lease)


def is_cancelled(worker: WorkerClient, lease: Lease) -> None:
    lifecycle.cancel(UUID(lease["taskId"]), database_clock.now())
    over(lease)
    retried(lease)


def is_cancelled_and_acknowledged(worker: WorkerClient, lease: Lease) -> None:
    lifecycle.cancel(UUID(lease["taskId"]), database_clock.now())
    worker.on_leases("forfeitTasks", [lease])
    retried(lease)


ENDS = [fails, is_lost, is_cancelled, is_cancelled_and_acknowledged]


def test_a_made_up_lease_of_a_task_that_has_ended_opens_nothing(worker_account: Identity):
    ended = finish(make_task(), result={"secret": 1})

    assert_refused(stranger(worker_account), *guesses(ended.pk, 2))


@pytest.mark.parametrize("end", ENDS)
def test_a_made_up_lease_of_an_attempt_before_the_present_one_opens_nothing(
    worker: WorkerClient, worker_account: Identity, end: Callable[[WorkerClient, Lease], None]
):
    make_task()
    (lease,) = worker.claim()
    end(worker, lease)
    assert_refused(stranger(worker_account), *guesses(lease["taskId"], 2))

    (again,) = worker.claim()

    mixed = [{**lease, "fencingToken": again["fencingToken"]}, {**again, "fencingToken": lease["fencingToken"]}]
    assert_refused(stranger(worker_account), *guesses(lease["taskId"], 3), *mixed)


@pytest.mark.parametrize("end", ENDS)
def test_what_an_attempt_was_to_create_and_to_log_is_taken_however_it_ended_and_whoever_ran_the_task_since(
    worker: WorkerClient, end: Callable[[WorkerClient, Lease], None]
):
    make_task()
    (lease,) = worker.claim()
    end(worker, lease)
    other = WorkerClient(send_as(make_identity(Role.WORKER)), NAME)
    (again,) = other.claim()
    other.report(completed(again))

    (child,) = worker.enqueue(lease, CHILD)

    assert Task.objects.get(pk=child).name == "child"
    assert worker.record({**key(lease), **LINES}) == 1
    assert list(TaskLog.objects.values_list("task_id", "fencing_token")) == [(UUID(lease["taskId"]), 1)]


def test_what_a_completed_attempt_was_to_create_and_to_log_is_taken(worker: WorkerClient):
    make_task(), make_task()
    early, late = worker.claim(2)
    expire(late)
    worker.report(completed(early))
    worker.report(completed(late))

    made = [worker.enqueue(lease, {**CHILD, "idempotencyKey": lease["taskId"]}) for lease in (early, late)]

    assert Task.objects.filter(name="child").count() == len(made) == 2
    assert [worker.record({**key(lease), **LINES}) for lease in (early, late)] == [1, 1]


def test_a_report_that_was_refused_proves_nothing(worker: WorkerClient, worker_account: Identity):
    ended = finish(make_task())
    made_up, _ = guesses(ended.pk, 1)

    assert worker.report(completed(made_up)) == ["STALE_LEASE"]

    assert not TaskAttempt.objects.exists()
    assert_refused(worker, made_up)


def test_of_an_attempt_that_an_older_version_has_recorded_its_worker_s_account_proves_it(worker: WorkerClient):
    make_task()
    (lease,) = worker.claim()
    expire(lease)
    TaskAttempt.objects.update(claim_id=None)
    Task.objects.update(claim_id=None)
    other = WorkerClient(send_as(make_identity(Role.WORKER)), NAME)

    assert_refused(other, lease)

    assert worker.record({**key(lease), **LINES}) == 1
    assert len(worker.enqueue(lease, CHILD)) == 1
