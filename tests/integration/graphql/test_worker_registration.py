"""Who may act for which worker, and what a worker says of itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tests.integration.graphql.making import data, make_identity, make_task, make_worker, row
from tests.integration.graphql.working import NAME, refused, send_as
from tests.support.worker_client import WorkerClient, completed, key
from workers import presence
from workers.models import Worker

pytestmark = pytest.mark.django_db


def test_a_worker_says_what_it_is_and_may_say_it_anew(worker_account: Identity):
    said = {"id": str(uuid4()), "name": "boat", "hostname": "b1", "pid": 7, "queues": ["mail", "web"], "version": "2"}
    declared = {"declarations": [{"name": "b", "queue": "mail", "priority": "HIGH", "maxRetries": 1}]}
    WorkerClient(send_as(worker_account), "a", **said, **declared, concurrency=3)
    before = Worker.objects.get()

    again = WorkerClient(send_as(worker_account), "c", id=said["id"])

    assert (before.name, before.hostname, before.pid, before.version) == ("boat", "b1", 7, "2")
    assert (before.queues, before.concurrency, before.transport) == (["mail", "web"], 3, "remote")
    assert before.handlers == {"a": {}, "b": {"queue": "mail", "priority": 10, "max_retries": 1}}
    assert (before.team_id, before.account_id) == (worker_account.team_id, worker_account.user_id)
    now = Worker.objects.get(pk=again.id)
    assert (now.name, list(now.handlers), now.queues, now.started_at) == (
        worker_account.username,
        ["c"],
        [],
        before.started_at,
    )


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": "x" * 201}, "input.name"),
        ({"hostname": "x" * 256}, "input.hostname"),
        ({"version": "x" * 41}, "input.version"),
        ({"pid": -1}, "input.pid"),
        ({"concurrency": 0}, "input.concurrency"),
        ({"queues": ["no queue"]}, "input.queue"),
        ({"queues": ["q"] * 1001}, "input.queues"),
        ({"handlers": ["h"] * 1001}, "input.handlers"),
        ({"handlers": ["no handler"]}, "input.name"),
        ({"declarations": [{"name": "a", "maxRetries": -1}]}, "input.maxRetries"),
    ],
)
def test_what_a_worker_says_has_limits(worker_account: Identity, said: dict[str, Any], field: str):
    assert refused(lambda: WorkerClient(send_as(worker_account), **said)) == ("BAD_USER_INPUT", field)
    assert not Worker.objects.exists()


def test_an_id_belongs_to_the_account_that_used_it_first(worker: WorkerClient):
    other = send_as(make_identity(Role.WORKER))
    direct = make_worker()
    before = list(Worker.objects.order_by("pk").values())

    for taken in (worker.id, str(direct.pk), "nonsense"):
        assert refused(lambda taken=taken: WorkerClient(other, NAME, id=taken)) == ("NOT_FOUND", "input.id")
    assert list(Worker.objects.order_by("pk").values()) == before


def test_an_account_has_a_bounded_number_of_workers(
    worker: WorkerClient, worker_account: Identity, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(presence, "MOST_OF_AN_ACCOUNT", 1)
    same, other = send_as(worker_account), send_as(make_identity(Role.WORKER))

    assert refused(lambda: WorkerClient(same, NAME)) == ("CONFLICT", None)
    assert Worker.objects.count() == 1
    WorkerClient(same, NAME, id=worker.id)
    WorkerClient(other, NAME)
    assert Worker.objects.count() == 2


def test_another_account_s_worker_is_not_found(worker: WorkerClient):
    task = make_task()
    (lease,) = worker.claim()
    thief = WorkerClient(send_as(make_identity(Role.WORKER)), NAME)
    thief.id = worker.id
    before, seen = row(task), list(Worker.objects.order_by("pk").values())

    for call in (
        lambda: thief.claim(),
        lambda: thief.renew([lease]),
        lambda: thief.report(completed(lease)),
        lambda: thief.on_leases("releaseTasks", [lease]),
        lambda: thief.on_leases("forfeitTasks", [lease]),
        lambda: thief.on_leases("beginTasks", [lease]),
        lambda: thief.heartbeat(),
        lambda: thief.record({**key(lease), "attempt": 1, "progress": 5}),
        lambda: thief.enqueue(lease, {"name": NAME, "idempotencyKey": "k"}),
    ):
        assert refused(call) == ("NOT_FOUND", None)
    assert (row(task), list(Worker.objects.order_by("pk").values())) == (before, seen)


def test_a_heartbeat_keeps_a_worker_online_until_it_says_that_it_stops(worker: WorkerClient, admin: Identity):
    query = f'{{ worker(id: "{worker.id}") {{ status isOnline offlineSince }} }}'
    Worker.objects.update(last_heartbeat=database_clock.now() - timedelta(minutes=5))
    silent = data(query, admin)["worker"]

    worker.heartbeat(status="STOPPING")
    stopping = data(query, admin)["worker"]
    worker.heartbeat(status="STOPPED")

    assert (silent["isOnline"], silent["offlineSince"] is None) == (False, False)
    assert stopping == {"status": "STOPPING", "isOnline": True, "offlineSince": None}
    assert data(query, admin)["worker"] == {"status": "STOPPED", "isOnline": False, "offlineSince": None}


def test_a_forgotten_worker_must_register_again(worker: WorkerClient):
    presence.forget_silent(database_clock.now() + timedelta(days=1))

    assert refused(worker.heartbeat) == ("NOT_FOUND", None)
