"""tasks, task and taskStats: what is listed, in which order, for whom, and at what cost."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tasks import audit, lifecycle, selectors
from tasks.domain.outcome import OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, make_worker, refusal, start
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db

EVERYTHING = """{
  id name title description queue priority priorityLevel payload status attempts retries maxRetries lostLeases
  timeoutSeconds progress result error idempotencyKey createdAt updatedAt scheduledAt queuedAt startedAt completedAt
  cronExpression isRecurring handlerKnown version
  schedule { id name user { email team { name } } team { name } }
  user { id email team { name } }
  team { id name }
  worker { id name activeTaskCount isOnline }
  logs { message level createdAt attempt }
}"""


def names(arguments: str, identity: Identity) -> list[str]:
    """The names of the tasks that a list with these arguments has."""
    return [task["name"] for task in data(f"{{ tasks{arguments} {{ name }} }}", identity)["tasks"]]


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


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(user: Identity) -> list[Task]:
    """Tasks a to e, created in that order."""
    made = [
        make_task(name="a", priority=1, title="First Aid 50% off"),
        make_task(name="b", priority=20, queue="mail"),
        make_task(name="c", delay_seconds=60, title="aid_for_c"),
        make_task(name="d", priority=20),
        make_task(name="e-mail", queue="mail"),
    ]
    lifecycle.cancel(made[0].pk, database_clock.now())
    return made


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["e-mail", "d", "c", "b", "a"]),
        ("(orderBy: NEWEST)", ["e-mail", "d", "c", "b", "a"]),
        ("(orderBy: OLDEST)", ["a", "b", "c", "d", "e-mail"]),
        ("(orderBy: PRIORITY)", ["b", "d", "e-mail", "c", "a"]),
        ("(orderBy: UPDATED)", ["a", "e-mail", "d", "c", "b"]),
        ("(limit: 2)", ["e-mail", "d"]),
        ("(limit: 2, offset: 3)", ["b", "a"]),
        ("(limit: 0)", []),
        ("(offset: 5)", []),
        ("(limit: null, offset: null, orderBy: null, status: null, search: null)", ["e-mail", "d", "c", "b", "a"]),
        ("(status: PENDING)", ["c"]),
        ("(status: pending)", ["c"]),
        ('(status: "Pending")', ["c"]),
        ("(status: DEAD_LETTER)", []),
        ('(name: "d")', ["d"]),
        ('(name: "D")', []),
        ('(queue: "mail")', ["e-mail", "b"]),
        ('(queue: "nowhere")', []),
        ("(priority: CRITICAL)", ["d", "b"]),
        ('(priority: "20")', ["d", "b"]),
        ("(priority: 1)", ["a"]),
        ('(queue: "mail", priority: 20, status: QUEUED)', ["b"]),
        ('(search: "MAIL")', ["e-mail"]),
        ('(search: "aid")', ["c", "a"]),
        ('(search: "50%")', ["a"]),
        ('(search: "%")', ["a"]),
        ('(search: "_")', ["c"]),
        ('(search: "\\\\")', []),
        ('(search: "\\u0000")', []),
        ('(search: "")', ["e-mail", "d", "c", "b", "a"]),
    ],
)
def test_lists_are_filtered_and_ordered(user: Identity, arguments: str, expected: list[str]):
    assert names(arguments, user) == expected


@pytest.mark.parametrize("length", [8, 9, 13, 15, 23, 24, 36])
def test_an_id_is_found_by_its_beginning(user: Identity, length: int):
    task = make_task()

    query = "query ($text: String) { tasks(search: $text) { id } }"
    assert data(query, user, text=str(task.pk)[:length].upper()) == {"tasks": [{"id": str(task.pk)}]}
    assert data(query, user, text=str(uuid4())[:length]) == {"tasks": []}
    assert data(query, user, text="f" * 8 + str(task.pk)[8:length]) == {"tasks": []}


def test_a_span_of_time_takes_its_beginning_and_not_its_end(user: Identity, five: list[Task]):
    query = "query ($a: DateTime, $b: DateTime) { tasks(createdAfter: $a, createdBefore: $b) { name } }"
    span = {"a": DateTime.serialize(five[1].created_at), "b": DateTime.serialize(five[3].created_at)}

    assert data(query, user, **span) == {"tasks": [{"name": "c"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("(limit: 1001)", "limit"),
        ("(limit: -1)", "limit"),
        ("(offset: -1)", "offset"),
        ("(status: SLEEPING)", "status"),
        ("(orderBy: SIZE)", "orderBy"),
        ("(priority: 101)", "priority"),
        ('(createdAfter: "yesterday")', "createdAfter"),
    ],
)
def test_a_bad_argument_is_named(user: Identity, arguments: str, field: str):
    assert refusal(f"{{ tasks{arguments} {{ id }} }}", user) == ("BAD_USER_INPUT", field)


def test_a_list_has_fifty_unless_more_are_asked_for(user: Identity):
    from accounts.models import Team

    team = Team.objects.get(pk=user.team_id)
    for _ in range(51):
        make_task(team.name)

    assert len(names("", user)) == 50
    assert len(names("(limit: 1000)", user)) == 51


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


# --- cost ----------------------------------------------------------------------------------------------------------


def test_logs_come_in_the_order_of_writing_and_are_bounded(user: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selectors, "MOST_LOG_LINES", 3)
    first, second = make_task(), make_task()
    lines = [(first, 1, 1), (first, 1, 2), (first, 2, 1), (first, 2, 2), (second, 1, 1)]
    audit.record_lines(
        [audit.LogLine(task.pk, token, number, token, "info", f"{token}-{number}") for task, token, number in lines],
        database_clock.now(),
    )

    shown = data("{ tasks(orderBy: OLDEST) { logs { message attempt } } }", user)["tasks"]

    assert [[line["message"] for line in task["logs"]] for task in shown] == [["1-2", "2-1", "2-2"], ["1-1"]]


@pytest.mark.parametrize("count", [1, 50])
def test_a_list_with_everything_takes_as_many_queries_for_one_as_for_fifty(user: Identity, count: int):
    workers = [make_worker(f"w-{number}", handlers=("n",)) for number in range(3)]
    now = database_clock.now()
    for number in range(count):
        input = {"name": "n", **({"cronExpression": "@daily"} if number % 5 == 0 else {})}
        query = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
        task = Task.objects.get(pk=data(query, user, input=input)["createTask"]["id"])
        if task.status == "QUEUED":
            task = start(task, workers[number % 3].pk)
        audit.record_lines([audit.LogLine(task.pk, 1, 1, 1, "info", "a line")], now)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        shown = data(f"{{ tasks {EVERYTHING} }}", user)["tasks"]

    assert len(shown) == count
    assert all(task["user"]["team"] == {"name": "red"} and len(task["logs"]) == 1 for task in shown)
    tables = [query["sql"].split(" FROM ")[1].split()[0].strip('`"') for query in queries]
    expected = ["tasks_task", "tasks_task", "accounts_user", "accounts_team", "tasks_tasklog"]
    if count > 1:
        expected += ["workers_worker", "tasks_task"]  # who runs them, and how many each of these runs
        expected += ["tasks_tasklog"]  # how long their logs are
    expected += ["workers_worker", "scheduling_schedule", "accounts_user", "accounts_team"]
    assert sorted(table if table[0] != "(" else "tasks_tasklog" for table in tables) == sorted(expected)


def test_fragments_aliases_and_directives_are_followed(user: Identity):
    for _ in range(3):
        make_task()
    query = """query ($no: Boolean!) {
      tasks { ...Who mine: team { name } ... on Task { logs { message } } user @include(if: $no) { email } }
    }
    fragment Who on Task { known: handlerKnown team { id } }"""

    with CaptureQueriesContext(connection) as queries:
        shown = data(query, user, no=False)["tasks"]

    assert shown == [
        {"known": True, "team": {"id": str(user.team_id)}, "mine": {"name": "red"}, "logs": []} for _ in range(3)
    ]
    assert len(queries) == 6  # which tasks, the tasks, workers, teams, how long the logs are, logs


def test_large_columns_are_read_when_they_are_shown_and_only_then(user: Identity):
    make_task(payload={"a": 1})

    with CaptureQueriesContext(connection) as lean:
        data("{ tasks { id title } }", user)
    with CaptureQueriesContext(connection) as full:
        assert data("{ tasks { payload result error description } }", user)["tasks"][0]["payload"] == {"a": 1}

    assert len(lean) == len(full) == 2  # which ones, and their rows
    assert not any("payload" in query["sql"] for query in lean)
