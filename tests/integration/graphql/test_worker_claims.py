"""What claims get, for how long, and within which bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.graphql.making import make_task, row
from tests.integration.graphql.working import NAME, refused, reread, send_as, with_token
from tests.support.worker_client import WorkerClient, key

pytestmark = pytest.mark.django_db


def test_a_claim_gets_tasks_of_the_team_in_order_and_with_all_that_an_attempt_needs(worker: WorkerClient):
    low, high = make_task(priority=1), make_task(priority=20, payload={"a": 1}, max_retries=0)
    make_task("blue", priority=100)
    make_task(name="unknown")

    leased = worker.claim(5)

    assert [each["taskId"] for each in leased] == [str(high.pk), str(low.pk)]
    assert {name: leased[0][name] for name in ("name", "payload", "attempt", "fencingToken", "beginFirst")} == {
        "name": NAME,
        "payload": {"a": 1},
        "attempt": 1,
        "fencingToken": 1,
        "beginFirst": True,
    }
    assert {task.lease_owner for task in Task.objects.filter(status="PROCESSING")} == {UUID(worker.id)}


def test_the_whole_task_can_be_selected_of_a_claim(worker: WorkerClient):
    task = make_task(title="Mail it")
    document = """mutation ($w: ID!, $c: ID!) { claimTasks(workerId: $w, claimId: $c, limit: 1) {
        lock lockFencingNumber timeoutSeconds
        task { id title status team { name } worker { name } leaseExpiresAt logs { message } } } }"""

    (leased,) = worker.ask(document, w=worker.id, c=str(uuid4()))["claimTasks"]

    assert leased["task"].pop("leaseExpiresAt") is not None
    assert leased["task"].pop("worker")["name"].startswith("worker-")
    assert leased["task"] == {
        "id": str(task.pk),
        "title": "Mail it",
        "status": "PROCESSING",
        "team": {"name": "red"},
        "logs": [],
    }


def test_a_claim_grants_a_minute_and_the_first_renewal_what_was_asked_for(worker: WorkerClient):
    make_task(), make_task()
    (short,) = worker.claim(leaseSeconds=5)
    (lease,) = worker.claim(leaseSeconds=7200)

    assert (short["leaseMs"], lease["leaseMs"]) == (5000, 60_000)
    assert worker.renew([lease]) == [("RENEWED", 7_200_000)]
    assert worker.renew([lease], lease_seconds=30) == [("RENEWED", 30_000)]
    left = reread(lease).lease_expires_at - database_clock.now()
    assert timedelta(seconds=28) < left <= timedelta(seconds=30)


def test_no_lease_is_longer_than_the_server_grants(worker: WorkerClient, settings: Any):
    settings.DTQ_WORKERS = replace(settings.DTQ_WORKERS, longest_remote_lease=timedelta(hours=2))
    make_task()
    (lease,) = worker.claim(leaseSeconds=86_400)

    assert worker.renew([lease]) == [("RENEWED", 7_200_000)]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"waitSeconds": -1}, "waitSeconds"),
        ({"waitSeconds": 61}, "waitSeconds"),
        ({"leaseSeconds": 2}, "leaseSeconds"),
        ({"claim_id": "no uuid"}, "claimId"),
    ],
)
def test_a_claim_has_limits(worker: WorkerClient, options: dict[str, Any], field: str):
    task = make_task()
    before = row(task)

    assert refused(lambda: worker.claim(**options)) == ("BAD_USER_INPUT", field)
    assert row(task) == before


def test_a_repeated_claim_is_answered_with_what_it_has_won(worker: WorkerClient):
    for _ in range(3):
        make_task()
    claim_id = str(uuid4())
    first = worker.claim(2, claim_id=claim_id)

    again = worker.claim(2, claim_id=claim_id, repeated=True)

    assert [key(each) for each in again] == [key(each) for each in first]
    assert Task.objects.filter(status=TaskStatus.PROCESSING).count() == 2


def test_a_token_confines_its_worker_to_its_queues(worker_account: Identity):
    bound = send_as(with_token(worker_account, "mail", "web"))
    tasks = {queue: make_task(queue=queue) for queue in ("mail", "web", "other")}

    assert [each["taskId"] for each in WorkerClient(bound, NAME, queues=["web", "other"]).claim(5)] == [
        str(tasks["web"].pk)
    ]
    assert [each["taskId"] for each in WorkerClient(bound, NAME).claim(5)] == [str(tasks["mail"].pk)]
    assert refused(lambda: WorkerClient(bound, NAME, queues=["other"])) == ("BAD_USER_INPUT", "input.queues")
    assert row(tasks["other"])["status"] == TaskStatus.QUEUED


def test_a_worker_whose_token_allows_none_of_its_queues_any_more_gets_nothing(worker_account: Identity):
    task = make_task(queue="mail")
    worker = WorkerClient(send_as(worker_account), NAME, queues=["mail"])
    confined = WorkerClient(send_as(with_token(worker_account, "web")), NAME)
    confined.id = worker.id

    assert confined.claim(5) == []
    assert row(task)["status"] == TaskStatus.QUEUED
