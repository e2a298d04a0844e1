"""What a list of tasks costs: queries, indexes, and what is left unread."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from tasks import audit
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.integration.graphql.making import data, make_task, make_worker, refusal, row, start
from tests.integration.graphql.paging import PAGE, page

pytestmark = pytest.mark.django_db

EVERYTHING = """{ id user { id team { name } } team { name } worker { name activeTaskCount } handlerKnown
                  schedule { id user { id } team { id } } logs { message } }"""


@pytest.mark.parametrize("count", [2, 30])
def test_a_page_with_everything_takes_as_many_queries_for_two_as_for_thirty(user: Identity, count: int):
    workers = [make_worker(f"w-{number}") for number in range(2)]
    for number in range(count):
        recurring = {"cronExpression": "@daily"} if number % 2 else {}
        create = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { id status } }"
        made = data(create, user, input={"name": "n", **recurring})["createTask"]
        task = Task.objects.get(pk=made["id"])
        if made["status"] == TaskStatus.QUEUED:
            start(task, workers[number % 4 // 2].pk)
        audit.record_lines([audit.LogLine(task.pk, 1, 1, 1, "info", "a line")], database_clock.now())

    with CaptureQueriesContext(connection) as queries:
        shown = data(f"{{ tasksConnection {{ nodes {EVERYTHING} }} }}", user)["tasksConnection"]["nodes"]

    assert len(shown) == count
    # which, rows, users, teams, how long the logs are, logs, workers, how many each runs, who is online, schedules, and their
    # users and teams
    assert len(queries) == 12


@pytest.mark.parametrize(
    ("order", "status", "of_all_teams", "of_a_team"),
    [
        ("NEWEST", None, "PRIMARY", "task_of_team"),
        ("OLDEST", "FAILED", "task_lease_end", "task_of_team"),
        ("PRIORITY", None, "task_line", None),
        ("PRIORITY", "QUEUED", "task_line", None),
        ("UPDATED", None, "task_changed", None),
        ("UPDATED", "COMPLETED", "task_changed", None),
    ],
)
def test_every_order_is_read_off_the_index_that_has_it(
    user: Identity, admin: Identity, order: str, status: str | None, of_all_teams: str, of_a_team: str | None
):
    if connection.vendor != "mysql":
        pytest.skip("SQLite sorts: it cannot merge what stands in order")
    for number in range(30):
        make_task("blue" if number % 2 else "red", queue=f"q-{number % 3}")

    for who, index in ((admin, of_all_teams), (user, of_a_team)):
        with CaptureQueriesContext(connection) as queries:
            page(who, first=5, order=order, filter={"status": status})
        chosen = next(query["sql"] for query in queries if "tasks_task" in query["sql"])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {chosen}")
            used = {key for _, _, table, _, _, key, *_ in cursor.fetchall() if table == "tasks_task"}
        assert index is None or used == {index}


def test_both_places_of_a_task_are_loaded_and_only_what_is_shown(user: Identity):
    make_task(payload={"a": 1})

    query = "{ tasksConnection { edges { node { team { name } } } nodes { payload logs { message } } } }"
    assert data(query, user)["tasksConnection"] == {
        "edges": [{"node": {"team": {"name": "red"}}}],
        "nodes": [{"payload": {"a": 1}, "logs": []}],
    }
    with CaptureQueriesContext(connection) as queries:
        data("{ tasksConnection { pageInfo { endCursor } } }", user)
    assert not any("payload" in query["sql"] for query in queries)


def test_a_list_reads_nothing_it_may_not(stranger: Identity, worker_account: Identity, viewer: Identity):
    task = make_task("red")
    before = row(task)

    assert page(stranger)["nodes"] == page(worker_account)["nodes"] == []
    assert [node["id"] for node in page(viewer)["nodes"]] == [str(task.pk)]
    assert refusal(PAGE) == ("UNAUTHENTICATED", None)
    assert row(task) == before
