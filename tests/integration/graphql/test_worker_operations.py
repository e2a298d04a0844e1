"""The operations for workers: what each does, for whom, and that none counts twice however often it is sent."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from graphene.utils.str_converters import to_camel_case

from accounts import worker_tokens
from accounts.identity import Identity, WorkerGrant
from accounts.models import User
from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from dtq_site.schema import schema
from tasks import lifecycle
from tasks.domain.states import TaskStatus
from tasks.models import Task, TaskAttempt, TaskLog
from tests.integration.graphql.making import POLICY, data, make_identity, make_task, make_worker, refusal, row
from tests.support.api import ask
from tests.support.sources import ROOT
from tests.support.worker_client import Lease, Refused, WorkerClient, completed, failed, key
from workers import presence
from workers.graphql.inputs import LONGEST_WAIT_SECONDS, MOST_CLAIMED, MOST_ITEMS
from workers.graphql.mutations import WorkersMutation
from workers.models import Worker
from workers.remote import UNCONFIRMED_LEASE

pytestmark = pytest.mark.django_db

NAME = "send-email"


def send_as(identity: Identity) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    return lambda document, variables: ask(document, identity=identity, **variables)


@pytest.fixture
def worker(worker_account: Identity) -> WorkerClient:
    """A worker of the team red."""
    return WorkerClient(send_as(worker_account), NAME)


def with_token(identity: Identity, *queues: str) -> Identity:
    return replace(identity, grant=WorkerGrant(uuid4(), frozenset(queues)))


def reread(lease: Lease) -> Task:
    return Task.objects.get(pk=lease["taskId"])


def expire(lease: Lease) -> None:
    """Let the lease end, and have it reaped."""
    Task.objects.filter(pk=lease["taskId"]).update(lease_expires_at=database_clock.now() - timedelta(seconds=1))
    lifecycle.reap(POLICY, lambda: 0.0, database_clock.now())


def refused(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.code, refusal.value.field


# --- who -----------------------------------------------------------------------------------------------------------


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


# --- claims --------------------------------------------------------------------------------------------------------


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


# --- while it runs -------------------------------------------------------------------------------------------------


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


# --- children ------------------------------------------------------------------------------------------------------


def test_a_task_s_children_are_created_once_in_its_team(worker: WorkerClient, worker_account: Identity):
    make_task()
    (lease,) = worker.claim()
    inputs = [{"name": "child", "payload": {"n": n}, "idempotencyKey": f"k{n}"} for n in range(2)]

    made = worker.enqueue(lease, *inputs)
    worker.report(completed(lease))
    again = worker.enqueue(lease, *inputs)

    assert made == again
    children = Task.objects.filter(name="child")
    assert {(str(each.pk), each.team_id, each.user_id) for each in children} == {
        (id_, worker_account.team_id, None) for id_ in made
    }


def test_of_what_a_child_waits_for_a_worker_is_shown_only_what_it_holds(worker: WorkerClient, user: Identity):
    other = make_task(queue="vault", name="other", payload={"secret": 1})
    make_task()
    (lease,) = worker.claim()
    child = {"name": "child", "idempotencyKey": "k", "dependsOn": [lease["taskId"], str(other.pk)]}
    document = """mutation ($worker: ID!, $parent: LeaseInput!, $inputs: [CreateTaskInput!]!) {
        enqueueTasks(workerId: $worker, parent: $parent, inputs: $inputs) { id dependsOn { id payload } } }"""

    (made,) = worker.ask(document, worker=worker.id, parent=key(lease), inputs=[child])["enqueueTasks"]

    assert [each["id"] for each in made["dependsOn"]] == [lease["taskId"]]
    shown = data("query ($id: ID!) { task(id: $id) { dependsOn { id } } }", user, id=made["id"])["task"]["dependsOn"]
    assert [each["id"] for each in shown] == child["dependsOn"]


def test_a_child_needs_a_key_a_parent_and_no_recurrence(worker: WorkerClient):
    make_task("blue")
    make_task()
    (lease,) = worker.claim()
    count = Task.objects.count()
    child = {"name": "child", "idempotencyKey": "k"}

    assert refused(lambda: worker.enqueue(lease, {"name": "child"})) == ("BAD_USER_INPUT", "inputs[0].idempotencyKey")
    assert refused(lambda: worker.enqueue({**lease, "claimId": str(uuid4())}, child)) == ("NOT_FOUND", "parent")
    recurring = {**child, "cronExpression": "@daily"}
    assert refused(lambda: worker.enqueue(lease, recurring)) == ("BAD_USER_INPUT", "inputs[0].cronExpression")
    assert Task.objects.count() == count


def test_what_parents_have_returned_is_told_to_whoever_holds_their_child(worker: WorkerClient):
    parent = make_task()
    (lease,) = worker.claim()
    child = make_task(depends_on=[str(parent.pk)])
    worker.report(completed(lease, {"n": 7}))
    (held,) = worker.claim()
    query = "query ($w: ID!, $l: LeaseInput!) { parentResults(workerId: $w, lease: $l) }"

    told = worker.ask(query, w=worker.id, l=key(held))["parentResults"]

    assert (held["taskId"], told) == (str(child.pk), {str(parent.pk): {"n": 7}})
    for other in (lease, {**held, "claimId": str(uuid4())}, {**held, "fencingToken": 2}):
        asked = {"w": worker.id, "l": key(other)}
        assert refused(lambda asked=asked: worker.ask(query, **asked)) == ("NOT_FOUND", "lease")


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
    (lost,) = TaskAttempt.objects.all()
    assert (lost.ending, lost.error) == ("lost", "worker lost: its token was revoked")
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


# --- lost answers --------------------------------------------------------------------------------------------------


class Flaky:
    """A way to the server that sends requests twice, later again, or loses their answers."""

    def __init__(self, identity: Identity, seed: int) -> None:
        self.draw, self._send = random.Random(seed), send_as(identity)
        self._late: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        while self._late and self.draw.random() < 0.5:
            self._send(*self._late.pop(self.draw.randrange(len(self._late))))
        answer = self._send(document, variables)
        if self.draw.random() < 0.3:
            self._late.append((document, variables))
        if self.draw.random() < 0.2:
            answer = self._send(document, variables)
        if self.draw.random() < 0.2:
            raise ConnectionError
        return answer


class Crew:
    """Workers that go on until their answers come, and remember which of their reports counted."""

    def __init__(self, identity: Identity, seed: int) -> None:
        self._flaky = Flaky(identity, seed)
        self._draw = self._flaky.draw
        self.workers = [self._persistently(lambda _: WorkerClient(self._flaky, NAME)) for _ in range(3)]
        self.counted: list[tuple[str, str]] = []

    def _persistently(self, call: Callable[[bool], Any]) -> Any:
        for tries in range(100):
            try:
                return call(tries > 0)
            except ConnectionError:
                continue
        raise AssertionError("a hundred answers were lost")

    def work(self, name: str) -> None:
        """One claim, and something for each task that it wins."""
        worker, claim_id, limit = self._draw.choice(self.workers), str(uuid4()), self._draw.randint(1, 4)
        for lease in self._persistently(lambda again: worker.claim(limit, claim_id=claim_id, repeated=again)):
            act = self._draw.choice(["report", "report", "lose", "release", "renew"])
            if act == "release":
                self._persistently(lambda _, lease=lease: worker.on_leases("releaseTasks", [lease]))
                continue
            if act == "renew":
                self._persistently(lambda _, lease=lease: worker.renew([lease]))
            if act == "lose":
                expire(lease)
            self._report(worker, lease, f"{name}, token {lease['fencingToken']}")

    def _report(self, worker: WorkerClient, lease: Lease, result: str) -> None:
        (verdict,) = self._persistently(lambda _: worker.report(completed(lease, result)))
        if verdict != "STALE_LEASE":
            self.counted.append((lease["taskId"], result))


@pytest.mark.parametrize("seed", range(8))
def test_however_requests_are_lost_repeated_and_reordered_each_task_has_one_result(worker_account: Identity, seed: int):
    crew = Crew(worker_account, seed)
    tasks = [make_task() for _ in range(8)]

    for turn in range(200):
        crew.work(f"turn {turn}")
        for held in Task.objects.filter(status=TaskStatus.PROCESSING):
            expire({"taskId": held.pk})  # whoever held it has never got the answer
        if not Task.objects.exclude(status=TaskStatus.COMPLETED).exists():
            break

    assert set(Task.objects.values_list("status", flat=True)) == {TaskStatus.COMPLETED}
    assert sorted(crew.counted) == sorted((str(task.pk), task.result) for task in Task.objects.all())
    assert len(crew.counted) == len(tasks)


# --- what is written about them ------------------------------------------------------------------------------------


def test_the_page_about_remote_workers_names_each_operation_with_its_arguments_and_its_limits():
    page = (ROOT / "docs/REMOTE-WORKERS.md").read_text()
    written = {name: arguments.split(", ") for name, arguments in re.findall(r"^\| `(\w+)\((.*?)\)` \|", page, re.M)}
    fields = {name: list(_fields(root)[name].args) for root in ("Query", "Mutation") for name in FOR_WORKERS[root]}

    assert written == fields
    assert (f"{LONGEST_WAIT_SECONDS} at most" in page, f"`limit` is {MOST_CLAIMED} at most" in page) == (True, True)
    assert f"have {MOST_ITEMS:,} items at most" in page
    assert f"{UNCONFIRMED_LEASE.seconds} seconds at most" in page


def _fields(root: str) -> dict[str, Any]:
    return schema.graphql_schema.type_map[root].fields


FOR_WORKERS = {"Query": ["parentResults"], "Mutation": list(map(to_camel_case, WorkersMutation._meta.fields))}


def test_the_account_sees_the_tasks_that_its_workers_hold_and_only_while_they_hold_them(
    worker: WorkerClient, worker_account: Identity
):
    held, waiting = make_task(name=NAME), make_task(name=NAME)
    (lease,) = worker.claim(1)
    listed = "{ tasks { id } }"
    one = "query ($id: ID!) { task(id: $id) { status } }"

    assert data(listed, worker_account) == {"tasks": [{"id": str(held.pk)}]}
    assert data(one, worker_account, id=str(held.pk)) == {"task": {"status": "PROCESSING"}}
    assert refusal(one, worker_account, id=str(waiting.pk)) == ("NOT_FOUND", None)

    worker.report(completed(lease))
    assert data(listed, worker_account) == {"tasks": []}
