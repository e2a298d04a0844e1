"""What becomes of leases: renewed, lost, cancelled, given back, given up, and ended with a token."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts import worker_tokens
from accounts.identity import Identity, WorkerGrant
from accounts.models import User
from dtq_site.foundation.database import database_clock
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.models import TaskAttempt
from tests.integration.graphql.making import data, make_task, refusal, row
from tests.integration.graphql.working import NAME, expire, refused, reread, send_as
from tests.support.factories import forget_what_processes_remember
from tests.support.worker_client import WorkerClient, completed

pytestmark = pytest.mark.django_db


def test_a_lease_that_is_lost_or_cancelled_is_not_renewed(worker: WorkerClient):
    kept, lost, cancelled = [make_task() for _ in range(3)] and worker.claim(3)
    expire(lost)
    lifecycle.cancel(UUID(cancelled["taskId"]), database_clock.now())

    verdicts = worker.renew([lost, kept, cancelled, {**kept, "claimId": str(uuid4())}, {**kept, "taskId": "x"}])

    assert [verdict for verdict, _ in verdicts] == ["LOST", "RENEWED", "CANCELLED", "LOST", "LOST"]
    assert [length for _, length in verdicts if not length] == [0, 0, 0, 0]


def test_a_heartbeat_says_which_tasks_to_stop(worker: WorkerClient, worker_account: Identity):
    make_task(), make_task(), make_task()
    kept, cancelled = worker.claim(2)
    (inherited,) = WorkerClient(send_as(worker_account), NAME).claim()
    lifecycle.cancel(UUID(cancelled["taskId"]), database_clock.now())

    active = [each["taskId"] for each in (kept, cancelled, inherited)]
    assert worker.heartbeat([*active, "nonsense"]) == [cancelled["taskId"], "nonsense"]


def test_until_when_a_worker_keeps_its_tasks_is_shown(worker: WorkerClient, viewer: Identity):
    query = f'{{ worker(id: "{worker.id}") {{ leaseExpiresAt }} tasks {{ leaseExpiresAt }} }}'
    make_task(), make_task()
    assert data(query, viewer) == {"worker": {"leaseExpiresAt": None}, "tasks": [{"leaseExpiresAt": None}] * 2}

    first = worker.claim(2)[0]
    worker.renew([first], lease_seconds=3600)
    shown = data(query, viewer)

    ends = sorted(each["leaseExpiresAt"] for each in shown["tasks"])
    assert len(set(ends)) == 2
    assert shown["worker"]["leaseExpiresAt"] == ends[0]


def test_a_request_has_no_more_than_a_thousand_leases(worker: WorkerClient):
    task = make_task()
    (lease,) = worker.claim()
    before = row(task)

    for call, field in (
        (lambda: worker.renew([lease] * 1001), "leases"),
        (lambda: worker.on_leases("releaseTasks", [lease] * 1001), "leases"),
        (lambda: worker.report(*[completed(lease)] * 1001), "outcomes"),
        (lambda: worker.heartbeat([lease["taskId"]] * 1001), "activeTasks"),
    ):
        assert refused(call) == ("BAD_USER_INPUT", field)
    assert row(task) == before


def test_tasks_are_given_back_and_given_up(worker: WorkerClient):
    make_task(), make_task()
    unbegun, begun = worker.claim(2)
    assert worker.on_leases("beginTasks", [begun, {**unbegun, "fencingToken": 9}]) == [begun["taskId"]]

    assert worker.on_leases("releaseTasks", [unbegun]) == 1
    assert worker.on_leases("forfeitTasks", [begun]) == 1
    before = [row(reread(each)) for each in (unbegun, begun)]
    assert worker.on_leases("releaseTasks", [unbegun]) == worker.on_leases("forfeitTasks", [unbegun]) == 0
    worker.on_leases("forfeitTasks", [begun])

    assert [row(reread(each)) for each in (unbegun, begun)] == before
    assert (reread(unbegun).status, reread(unbegun).attempts, reread(unbegun).lost_leases) == (TaskStatus.QUEUED, 0, 0)
    assert (reread(begun).status, reread(begun).attempts, reread(begun).lost_leases) == (TaskStatus.QUEUED, 1, 1)


# --- beyond the lease ------------------------------------------------------------------------------------------------


def test_a_task_is_kept_for_its_worker_from_the_first_renewal_until_somebody_reassigns_it(
    worker: WorkerClient, user: Identity, settings: Any
):
    settings.DTQ_WORKERS = replace(settings.DTQ_WORKERS, longest_hold=timedelta(days=2))
    create = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id whenLost heldUntil } }"
    made = data(create, user, input={"name": NAME, "whenLost": "hold"})["createTask"]
    (lease,) = worker.claim()
    unconfirmed = reread(lease).held_until
    worker.renew([lease], lease_seconds=60)
    show = "query ($id: ID!) { task(id: $id) { leaseExpiresAt heldUntil } }"
    shown = data(show, user, id=made["id"])["task"]

    assert (made["whenLost"], made["heldUntil"], unconfirmed) == ("HOLD", None, None)
    assert reread(lease).held_until == reread(lease).lease_expires_at + timedelta(days=2)
    assert shown["heldUntil"] > shown["leaseExpiresAt"]
    reassign = "mutation ($id: ID!) { reassignTask(id: $id) { status heldUntil } }"
    assert data(reassign, user, id=made["id"])["reassignTask"] == {"status": "PROCESSING", "heldUntil": None}
    assert refusal(reassign, user, id=made["id"]) == ("CONFLICT", None)


def test_a_handler_s_declaration_says_whether_its_tasks_are_kept(worker_account: Identity):
    declared = {"declarations": [{"name": "survey", "whenLost": "HOLD"}]}
    worker = WorkerClient(send_as(worker_account), **declared)
    forget_what_processes_remember()

    task = make_task(name="survey")
    document = """mutation ($w: ID!, $c: ID!) { claimTasks(workerId: $w, claimId: $c, limit: 1) { taskId whenLost } }"""

    assert worker.ask(document, w=worker.id, c=str(uuid4()))["claimTasks"] == [
        {"taskId": str(task.pk), "whenLost": "HOLD"}
    ]


# --- a token that is revoked ---------------------------------------------------------------------------------------


def test_revoking_a_token_gives_back_what_its_workers_hold(worker_account: Identity, admin: Identity):
    account = User.objects.get(pk=worker_account.user_id)
    token, other = [worker_tokens.issue(account, name=name).token for name in ("lost laptop", "desk")]
    thief = WorkerClient(send_as(replace(worker_account, grant=WorkerGrant(token.pk))), NAME)
    honest = WorkerClient(send_as(replace(worker_account, grant=WorkerGrant(other.pk))), NAME)
    for _ in range(4):
        make_task()
    unbegun, begun, cancelled = thief.claim(3)
    (kept,) = honest.claim()
    thief.on_leases("beginTasks", [begun])
    lifecycle.cancel(UUID(cancelled["taskId"]), database_clock.now())

    revoke = "mutation ($id: ID!) { revokeWorkerToken(id: $id) { revokedAt } }"
    assert data(revoke, admin, id=str(token.pk))["revokeWorkerToken"]["revokedAt"] is not None

    assert (reread(unbegun).status, reread(unbegun).attempts) == (TaskStatus.QUEUED, 0)
    assert (reread(begun).status, reread(begun).lost_leases) == (TaskStatus.QUEUED, 1)
    endings = TaskAttempt.objects.order_by("pk").values_list("ending", "error")
    assert list(endings) == [("cancelled", ""), ("lost", "worker lost: its token was revoked")]
    assert (reread(cancelled).status, reread(cancelled).lease_expires_at) == (TaskStatus.CANCELLED, None)
    assert reread(kept).status == TaskStatus.PROCESSING


def test_a_worker_that_has_gone_over_to_a_new_token_keeps_its_tasks(worker_account: Identity):
    account = User.objects.get(pk=worker_account.user_id)
    old = worker_tokens.issue(account, name="boat").token
    new = worker_tokens.rotate(old.pk, timedelta(days=1)).token
    worker = WorkerClient(send_as(replace(worker_account, grant=WorkerGrant(old.pk))), NAME)
    rotated = WorkerClient(send_as(replace(worker_account, grant=WorkerGrant(new.pk))), NAME, id=worker.id)
    make_task()
    (lease,) = rotated.claim()

    worker_tokens.revoke(old.pk)

    assert reread(lease).status == TaskStatus.PROCESSING
