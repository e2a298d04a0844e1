"""task and taskStats: what is shown and counted, and for whom."""

from __future__ import annotations

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tasks import lifecycle
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, make_worker, refusal, start
from tests.integration.graphql.reading import EVERYTHING, names
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db


def test_everything_of_a_task_is_shown(user: Identity):
    worker = make_worker("w-1", handlers=("n",))
    task = start(make_task(name="n", title="T", priority=25, idempotency_key="k", payload={"a": 1}), worker.pk)

    shown = data(f'{{ task(id: "{task.pk}") {EVERYTHING} }}', user)["task"]

    moment = DateTime.serialize
    assert shown == {
        "id": str(task.pk),
        "name": "n",
        "title": "T",
        "description": None,
        "queue": "default",
        "priority": 25,
        "priorityLevel": "CRITICAL",
        "payload": {"a": 1},
        "status": "PROCESSING",
        "attempts": 1,
        "retries": 0,
        "maxRetries": 3,
        "lostLeases": 0,
        "timeoutSeconds": 3600.0,
        "progress": None,
        "result": None,
        "error": None,
        "idempotencyKey": "k",
        "createdAt": moment(task.created_at),
        "updatedAt": moment(task.updated_at),
        "scheduledAt": None,
        "queuedAt": moment(task.queued_at),
        "startedAt": moment(task.started_at),
        "completedAt": None,
        "cronExpression": None,
        "isRecurring": False,
        "handlerKnown": True,
        "version": 2,
        "schedule": None,
        "user": None,
        "team": {"id": str(user.team_id), "name": "red"},
        "worker": {"id": str(worker.pk), "name": "w-1", "activeTaskCount": 1, "isOnline": True},
        "logs": [],
    }


@pytest.mark.parametrize(
    ("priority", "level"),
    [(100, "CRITICAL"), (20, "CRITICAL"), (19, "HIGH"), (5, "NORMAL"), (4, "LOW"), (0, "LOW"), (-100, "LOW")],
)
def test_a_priority_has_a_level(user: Identity, priority: int, level: str):
    make_task(priority=priority)

    assert data("{ tasks { priority priorityLevel } }", user) == {
        "tasks": [{"priority": priority, "priorityLevel": level}]
    }


def test_a_failure_is_shown(user: Identity):
    task = finish(make_task(), OutcomeKind.FAILED, error="ValueError: no")

    assert data(f'{{ task(id: "{task.pk}") {{ status error retries attempts }} }}', user) == {
        "task": {"status": "PENDING", "error": "ValueError: no", "retries": 1, "attempts": 1}
    }


# --- who sees what -------------------------------------------------------------------------------------------------


def test_a_team_sees_its_own_tasks_and_an_admin_all(
    user: Identity, viewer: Identity, stranger: Identity, admin: Identity, worker_account: Identity
):
    make_task("red", name="r")
    make_task("blue", name="b")

    seen = {who: names("", who) for who in (user, viewer, stranger, admin, worker_account)}

    assert seen == {user: ["r"], viewer: ["r"], stranger: ["b"], admin: ["b", "r"], worker_account: []}
    counted = {who: data("{ taskStats { total } }", who)["taskStats"]["total"] for who in (user, stranger, admin)}
    assert counted == {user: 1, stranger: 1, admin: 2}


@pytest.mark.parametrize("id", ["nonsense", "", "123", ID_OF_NOTHING])
def test_an_id_of_nothing_is_not_found(user: Identity, id: str):
    assert refusal("query ($id: ID!) { task(id: $id) { id } }", user, id=id) == ("NOT_FOUND", None)


def test_a_task_of_another_team_is_not_found(stranger: Identity, worker_account: Identity, admin: Identity):
    task = make_task("red")
    query = f'{{ task(id: "{task.pk}") {{ id }} }}'

    assert refusal(query, stranger) == refusal(query, worker_account) == ("NOT_FOUND", None)
    assert data(query, admin) == {"task": {"id": str(task.pk)}}


def test_an_admin_sees_the_addresses_of_all_teams(user: Identity, admin: Identity):
    data('mutation { createTask(input: {name: "n"}) { id } }', user)

    assert data("{ tasks { user { email } team { name } } }", admin) == {
        "tasks": [{"user": {"email": f"{user.username}@example.com"}, "team": {"name": "red"}}]
    }


@pytest.mark.parametrize(
    "query", ["{ tasks { id } }", '{ task(id: "x") { id } }', "{ taskStats { total } }", "{ queues { name } }"]
)
def test_nobody_reads_without_signing_in(db: None, query: str):
    assert refusal(query) == ("UNAUTHENTICATED", None)


# --- counts --------------------------------------------------------------------------------------------------------


def test_every_state_is_counted(user: Identity):
    now = database_clock.now()
    make_task(delay_seconds=60)
    make_task(), make_task(queue="mail")
    start(make_task())
    finish(make_task())
    finish(make_task(), OutcomeKind.DISCARDED, error="no")
    finish(make_task(max_retries=0), OutcomeKind.FAILED, error="no")
    lifecycle.cancel(make_task().pk, now)

    query = """query ($queue: String, $since: DateTime) { taskStats(queue: $queue, since: $since) {
        total pending queued processing completed failed deadLetter cancelled } }"""
    assert data(query, user)["taskStats"] == {
        "total": 8,
        "pending": 1,
        "queued": 2,
        "processing": 1,
        "completed": 1,
        "failed": 1,
        "deadLetter": 1,
        "cancelled": 1,
    }
    assert data(query, user, queue="mail")["taskStats"]["total"] == 1
    newest = Task.objects.order_by("-id")[0]
    assert data(query, user, since=DateTime.serialize(newest.created_at))["taskStats"]["total"] == 1
    assert data(query, user, queue="nowhere")["taskStats"]["queued"] == 0
