"""What reading tasks costs: queries, log lines, large columns."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from tasks import audit, selectors
from tasks.models import Task
from tests.integration.graphql.making import data, make_task, make_worker, start
from tests.integration.graphql.reading import EVERYTHING

pytestmark = pytest.mark.django_db


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
