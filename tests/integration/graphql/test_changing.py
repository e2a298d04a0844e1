"""updateTask, cancelTask, retryTask, deleteTask: what they change, when they refuse, and for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from scheduling.models import Schedule
from tasks import audit, lifecycle, submission
from tasks.domain.outcome import OutcomeKind
from tasks.domain.submission import Defaults
from tasks.models import Task, TaskLog
from tests.integration.graphql.making import data, finish, make_task, refusal, row, start
from tests.support.api import ask
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db

UPDATE = """mutation ($id: ID!, $input: UpdateTaskInput!) { updateTask(id: $id, input: $input) {
    title description payload priority queue maxRetries timeoutSeconds scheduledAt status } }"""
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { id status } }"
RETRY = "mutation ($id: ID!) { retryTask(id: $id) { id status attempts error scheduledAt } }"
DELETE = "mutation ($id: ID!) { deleteTask(id: $id) }"


def update(identity: Identity, task: Task, **input: Any) -> dict[str, Any]:
    return data(UPDATE, identity, id=str(task.pk), input=input)["updateTask"]


def test_every_field_can_be_changed(user: Identity):
    task = make_task(payload={"a": 1})
    later = DateTime.serialize(database_clock.now() + timedelta(hours=1))
    changes = {
        "title": "New",
        "description": "Newer",
        "payload": {"b": 2},
        "queue": "mail",
        "maxRetries": 0,
        "timeoutSeconds": 5.0,
        "scheduledAt": later,
    }

    assert update(user, task, priority="HIGH", **changes) == {**changes, "priority": 10, "status": "PENDING"}
    assert row(task)["version"] == task.version + 1


@pytest.mark.parametrize(
    ("input", "columns"),
    [
        ({"priority": 9}, {"priority": 9}),
        ({"title": None}, {"title": "send-email"}),
        ({"payload": None}, {"payload": {}}),
        ({"description": "x"}, {"description": "x"}),
    ],
)
def test_what_is_not_named_stays(user: Identity, input: dict, columns: dict):
    task = make_task(title="Old", payload={"a": 1}, priority=3, max_retries=9, timeout_seconds=7, queue="mail")
    before = row(task)

    update(user, task, **input)

    after = row(task)
    changed = {column for column in after if after[column] != before[column]}
    assert changed - {"updated_at", "version", "rank"} == set(columns)
    assert {column: after[column] for column in columns} == columns


DECLARED = {"queue": "mail", "priority": 8, "max_retries": 7, "timeout_seconds": 6.0}


@pytest.mark.parametrize("declared", [{}, DECLARED])
def test_null_is_what_a_new_task_has_whose_creator_is_silent(
    user: Identity, declared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(submission, "declared_defaults", lambda name, team_id: Defaults(**{**SILENT, **declared}))
    silent = make_task()
    task = make_task(
        title="Old", description="x", payload={"a": 1}, priority=3, max_retries=9, timeout_seconds=8, queue="slow",
        delay_seconds=60,
    )  # fmt: skip
    fields = ("title", "description", "payload", "priority", "queue", "maxRetries", "timeoutSeconds", "scheduledAt")

    update(user, task, **dict.fromkeys(fields))

    columns = ("title", "description", "payload", "priority", "queue", "max_retries", "timeout_seconds", "status")
    assert {column: row(task)[column] for column in columns} == {column: row(silent)[column] for column in columns}
    assert {column: row(task)[column] for column in declared} == declared


SILENT = dict.fromkeys(("queue", "priority", "max_retries", "timeout_seconds"))


def test_a_waiting_task_is_made_ready_by_no_moment(user: Identity):
    task = make_task(delay_seconds=60)

    assert update(user, task, scheduledAt=None)["status"] == "QUEUED"


@pytest.mark.parametrize(
    ("input", "code", "field"),
    [
        ({}, "BAD_USER_INPUT", "input"),
        ({"priority": 101}, "BAD_USER_INPUT", "input.priority"),
        ({"payload": [1]}, "BAD_USER_INPUT", "input.payload"),
        ({"payload": {"x": "x" * 256 * 1024}}, "PAYLOAD_TOO_LARGE", "input.payload"),
        ({"queue": "a b"}, "BAD_USER_INPUT", "input.queue"),
        ({"maxRetries": -1}, "BAD_USER_INPUT", "input.maxRetries"),
        ({"timeoutSeconds": 0}, "BAD_USER_INPUT", "input.timeoutSeconds"),
        ({"scheduledAt": "2199-01-01"}, "BAD_USER_INPUT", "input.scheduledAt"),
        ({"title": "x" * 201, "priority": 9}, "BAD_USER_INPUT", "input.title"),
        ({"name": "other"}, "BAD_USER_INPUT", "input.name"),
    ],
)
def test_a_bad_change_changes_nothing(user: Identity, input: dict, code: str, field: str):
    task = make_task()
    before = row(task)

    assert refusal(UPDATE, user, id=str(task.pk), input=input) == (code, field)
    assert row(task) == before


def test_a_task_that_has_started_or_ended_is_not_changed(user: Identity):
    for task in (start(make_task()), finish(make_task()), lifecycle.cancel(make_task().pk, database_clock.now())):
        before = row(task)

        assert refusal(UPDATE, user, id=str(task.pk), input={"priority": 9}) == ("CONFLICT", None)
        assert row(task) == before


def test_the_coming_occurrence_of_a_schedule_is_not_changed(user: Identity):
    create = 'mutation { createTask(input: {name: "n", cronExpression: "@daily"}) { id } }'
    task = Task.objects.get(pk=data(create, user)["createTask"]["id"])
    before = row(task)

    assert refusal(UPDATE, user, id=str(task.pk), input={"priority": 9}) == ("CONFLICT", None)
    assert row(task) == before


# --- cancelling and retrying ---------------------------------------------------------------------------------------


def test_what_has_not_ended_is_cancelled_and_stays_so(user: Identity):
    for task in (make_task(), make_task(delay_seconds=60), start(make_task())):
        for _ in range(2):
            assert data(CANCEL, user, id=str(task.pk))["cancelTask"] == {"id": str(task.pk), "status": "CANCELLED"}


@pytest.mark.parametrize("ending", [OutcomeKind.COMPLETED, OutcomeKind.DISCARDED])
def test_what_has_ended_is_not_cancelled(user: Identity, ending: OutcomeKind):
    task = finish(make_task(), ending)
    before = row(task)

    (error,) = ask(CANCEL, identity=user, id=str(task.pk))["errors"]

    assert error["extensions"] == {"code": "CONFLICT", "status": task.status}
    assert row(task) == before


def test_a_dead_letter_is_redriven(user: Identity):
    task = finish(make_task(max_retries=0), OutcomeKind.FAILED, error="no")
    assert task.status == "DEAD_LETTER"

    answer = data(RETRY, user, id=str(task.pk))["retryTask"]

    assert {**answer, "scheduledAt": None} == {
        "id": str(task.pk),
        "status": "QUEUED",
        "attempts": 1,
        "error": None,
        "scheduledAt": None,
    }
    assert answer["scheduledAt"] == DateTime.serialize(Task.objects.get().scheduled_at)


def test_what_has_not_failed_is_not_retried(user: Identity):
    for task in (make_task(), make_task(delay_seconds=60), start(make_task()), finish(make_task())):
        before = row(task)

        assert refusal(RETRY, user, id=str(task.pk)) == ("CONFLICT", None)
        assert row(task) == before


# --- deleting ------------------------------------------------------------------------------------------------------


def test_an_admin_deletes_what_has_ended_with_its_logs(admin: Identity):
    task, other = finish(make_task()), make_task()
    lines = [audit.LogLine(each.pk, 1, 1, 1, "info", "x") for each in (task, other)]
    audit.record_lines(lines, database_clock.now())

    assert data(DELETE, admin, id=str(task.pk)) == {"deleteTask": str(task.pk)}
    assert (Task.objects.get().pk, TaskLog.objects.get().task_id) == (other.pk, other.pk)


def test_what_has_not_ended_is_not_deleted(admin: Identity):
    task = make_task()

    assert refusal(DELETE, admin, id=str(task.pk)) == ("CONFLICT", None)
    assert Task.objects.count() == 1


# --- for whom ------------------------------------------------------------------------------------------------------

ON_ONE_TASK = [
    (UPDATE, {"input": {"priority": 9}}),
    (CANCEL, {}),
    ("mutation ($id: ID!) { retryTask(id: $id) { id } }", {}),
    (DELETE, {}),
]


@pytest.mark.parametrize(("query", "variables"), ON_ONE_TASK)
def test_viewers_and_workers_change_nothing(viewer: Identity, worker_account: Identity, query: str, variables: dict):
    task = make_task()
    before = row(task)

    for who in (viewer, worker_account):
        assert refusal(query, who, id=str(task.pk), **variables) == ("FORBIDDEN", None)
    assert refusal(query, None, id=str(task.pk), **variables) == ("UNAUTHENTICATED", None)
    assert row(task) == before


@pytest.mark.parametrize(
    "query",
    [
        'mutation { createTask(input: {name: "n"}) { id } }',
        'mutation { createTask(input: {name: "n", cronExpression: "@daily"}) { id } }',
        'mutation { createTasks(inputs: [{name: "n"}]) { id } }',
    ],
)
def test_viewers_and_workers_create_nothing(viewer: Identity, worker_account: Identity, query: str):
    for who in (viewer, worker_account):
        assert refusal(query, who) == ("FORBIDDEN", None)
    assert refusal(query) == ("UNAUTHENTICATED", None)
    assert (Task.objects.count(), Schedule.objects.count()) == (0, 0)


@pytest.mark.parametrize(("query", "variables"), ON_ONE_TASK[:3])
def test_tasks_of_another_team_are_out_of_reach(stranger: Identity, query: str, variables: dict):
    task = make_task("red")
    before = row(task)

    assert refusal(query, stranger, id=str(task.pk), **variables) == ("NOT_FOUND", None)
    assert row(task) == before


def test_a_user_deletes_nothing(user: Identity):
    task = finish(make_task())

    assert refusal(DELETE, user, id=str(task.pk)) == ("FORBIDDEN", None)
    assert Task.objects.count() == 1


@pytest.mark.parametrize(("query", "variables"), ON_ONE_TASK)
@pytest.mark.parametrize("id", ["nonsense", ID_OF_NOTHING])
def test_an_id_of_nothing_is_not_found(admin: Identity, query: str, variables: dict, id: str):
    assert refusal(query, admin, id=id, **variables) == ("NOT_FOUND", None)


def test_an_admin_acts_in_every_team(admin: Identity):
    task = make_task("red")

    assert update(admin, task, priority=9)["priority"] == 9
    assert data(CANCEL, admin, id=str(task.pk))["cancelTask"]["status"] == "CANCELLED"
    assert data(RETRY, admin, id=str(task.pk))["retryTask"]["status"] == "QUEUED"
