"""How much one answer may hold: what is too much is refused before it is read, and what was estimated too low in time."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Answer, Engine, GraphQLRequest
from dtq_site.api.errors import ErrorReporter
from dtq_site.endpoint import rate_limits
from dtq_site.foundation.database import database_clock
from dtq_site.reporting import faults
from dtq_site.schema import schema
from tasks import audit
from tasks.audit import LogLine
from tasks.domain.outcome import OutcomeKind
from tasks.models import Dependency, Task
from tests.integration.graphql.making import finish, make_task

pytestmark = pytest.mark.django_db

MEGABYTE = 1_000_000
LARGE = {"text": "x" * 100_000}


def answer(query: str, identity: Identity, variables: dict[str, Any] | None = None, **limits: int) -> Answer:
    options = replace(settings.DTQ_API, **{"max_answer_bytes": MEGABYTE, **limits})
    engine = Engine(schema.graphql_schema, options, ErrorReporter(faults), rate_limits)
    context = RequestContext(identity, None, "192.0.2.1", "test", database_clock, None)
    return engine.answer(GraphQLRequest(query, variables or {}), context)


def refused(query: str, identity: Identity, **limits: int) -> tuple[str, list[str]]:
    """The message of a refusal, and the statements that came before it."""
    with CaptureQueriesContext(connection) as queries:
        found = answer(query, identity, **limits)
    assert found.refused == "QUERY_TOO_COMPLEX" and "data" not in found.body, found.body
    return found.body["errors"][0]["message"], [query["sql"] for query in queries]


def reads(column: str, statements: list[str]) -> list[str]:
    """Those of the statements that read the column itself, not its length."""
    quote = connection.ops.quote_name
    itself = re.compile(rf"(?<!LENGTH\(){quote('tasks_task')}\.{quote(column)}")
    return [sql for sql in statements if itself.search(sql)]


@pytest.mark.parametrize(
    "query",
    [
        "{ tasks(limit: 1000) { payload } }",
        "{ tasks(limit: 6) { a: payload b: payload } }",
        "{ tasksConnection(first: 1000) { nodes { payload } } }",
        "{ tasksConnection(first: 6) { nodes { payload } edges { node { payload } } } }",
        "query { tasks(limit: 1000) { ...Large } } fragment Large on Task { id payload }",
    ],
)
def test_a_list_that_is_too_large_is_refused_before_it_is_read(user: Identity, query: str):
    for _ in range(11):
        make_task(payload=LARGE)

    message, statements = refused(query, user)

    assert message.startswith("The answer would take more than 1,000,000 bytes. Ask for fewer items at once")
    assert reads("payload", statements) == []


def test_many_lists_are_too_large_together(user: Identity):
    for _ in range(6):
        make_task(payload=LARGE)
    lists = "".join(f" l{n}: tasks(limit: 50) {{ payload }}" for n in range(30))

    _, statements = refused(f"{{ {lists} }}", user)

    assert len(reads("payload", statements)) == 1


def test_a_list_that_fits_is_answered_whatever_it_might_have_held(user: Identity):
    for _ in range(9):
        make_task(payload=LARGE)

    found = answer("{ tasks(limit: 1000) { payload } }", user)

    assert found.body == {"data": {"tasks": [{"payload": LARGE}] * 9}}


def test_results_count_like_payloads(user: Identity):
    for _ in range(11):
        finish(make_task(), result=LARGE)

    _, statements = refused("{ tasks(limit: 100) { result } }", user)

    assert reads("result", statements) == []


def test_logs_are_measured_before_they_are_read(user: Identity):
    now = database_clock.now()
    for _ in range(3):
        task = finish(make_task())
        lines = [LogLine(task.pk, 1, number, 1, "info", "x" * 4000) for number in range(100)]
        audit.record_lines(lines, now)

    _, statements = refused("{ tasks { logs { message } } }", user)
    assert not any("ROW_NUMBER" in sql for sql in statements)

    found = answer("{ tasks(limit: 2) { logs { message } } }", user)
    assert [len(task["logs"]) for task in found.body["data"]["tasks"]] == [100, 100]


def test_what_tasks_depend_on_is_measured_before_it_is_read(user: Identity):
    parents = [make_task(payload=LARGE) for _ in range(11)]
    child = make_task(depends_on=[str(parent.pk) for parent in parents])
    query = f'{{ task(id: "{child.pk}") {{ dependsOn {{ payload }} }} }}'

    _, statements = refused(query, user)

    assert len(reads("payload", statements)) == 1  # the child's own row
    assert answer(query.replace("payload", "id"), user).refused is None


def layers(count: int, width: int) -> Task:
    """A task above so many layers of tasks, each of which depends on all tasks of the next layer."""
    below: list[Task] = []
    for _ in range(count):
        below = [make_task(depends_on=[str(each.pk) for each in below]) for _ in range(width)]
    return make_task(depends_on=[str(each.pk) for each in below])


def test_a_graph_that_widens_with_each_level_is_not_followed_without_end(user: Identity):
    top = layers(6, 8)  # 8 + 64 + … + 8^6 ways down
    selection = "id"
    for _ in range(6):
        selection = f"dependsOn {{ {selection} }}"

    message, statements = refused(
        f'{{ task(id: "{top.pk}") {{ {selection} }} }}', user, max_answer_bytes=100 * MEGABYTE
    )

    assert message.startswith("The lists that it asks for are long")
    assert len(statements) < 30
    assert Dependency.objects.count() == 5 * 64 + 8


def test_earlier_tasks_are_shown_without_reading_what_is_not_asked_for(user: Identity):
    keys = [f"k{n}" for n in range(5)]
    inputs = [{"name": "send-email", "idempotencyKey": key} for key in keys]
    create = "mutation ($inputs: [CreateTaskInput!]!) { createTasks(inputs: $inputs) { id } }"
    made = answer(create, user, {"inputs": inputs}).body
    for task in Task.objects.filter(idempotency_key__in=keys):
        finish(task, OutcomeKind.COMPLETED, result=LARGE)

    with CaptureQueriesContext(connection) as queries:
        again = answer(create, user, {"inputs": inputs}).body

    assert again == made
    assert reads("result", [query["sql"] for query in queries]) == []
