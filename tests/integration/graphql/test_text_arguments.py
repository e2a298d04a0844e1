"""Texts by which clients name queues and look for tasks: those that no row can have are refused, and cost nothing."""

from __future__ import annotations

import pytest

from accounts.graphql.arguments import LONGEST_TEXT
from accounts.identity import Identity
from tasks.models import Queue, Task
from tests.integration.graphql.making import data, make_task, refusal, row

pytestmark = pytest.mark.django_db

IN_LISTS = [
    *[(f"query ($text: String!) {{ tasks({name}: $text) {{ id }} }}", name) for name in ("name", "queue", "search")],
    *[
        (
            f"query ($text: String!) {{ tasksConnection(filter: {{{name}: $text}}) {{ nodes {{ id }} }} }}",
            f"filter.{name}",
        )
        for name in ("name", "queue", "search", "error")
    ],
    ("query ($text: String!) { taskStats(queue: $text) { total } }", "queue"),
]
OF_QUEUES = [
    "query ($text: String!) { queue(name: $text) { name } }",
    "mutation ($text: String!) { pauseQueue(name: $text) { name } }",
    "mutation ($text: String!) { resumeQueue(name: $text) { name } }",
    "mutation ($text: String!) { updateQueue(name: $text, input: {weight: 2}) { name } }",
]
UNFIT = pytest.mark.parametrize("text", ["a\ud800", "a" * (LONGEST_TEXT + 1)], ids=["half a character", "too long"])


@UNFIT
@pytest.mark.parametrize(("query", "field"), IN_LISTS)
def test_a_text_that_cannot_be_looked_for_is_refused(user: Identity, query: str, field: str, text: str):
    assert refusal(query, user, text=text) == ("BAD_USER_INPUT", field)


@pytest.mark.parametrize(("query", "field"), IN_LISTS)
def test_the_longest_text_is_looked_for(user: Identity, query: str, field: str):
    make_task()

    (found,) = data(query, user, text="%" * LONGEST_TEXT).values()

    assert found in ([], {"nodes": []}, {"total": 0})


@UNFIT
@pytest.mark.parametrize("query", OF_QUEUES)
def test_no_queue_has_such_a_name(admin: Identity, query: str, text: str):
    make_task(queue="a")
    before = list(Queue.objects.values())

    assert refusal(query, admin, text=text) == ("BAD_USER_INPUT", "name")
    assert list(Queue.objects.values()) == before


@UNFIT
@pytest.mark.parametrize("field", ["name", "queue", "search", "error"])
def test_nothing_is_cancelled_for_it(user: Identity, field: str, text: str):
    task = make_task()
    before = row(task)
    query = f"mutation ($text: String!) {{ cancelTasks(filter: {{{field}: $text}}) {{ count }} }}"

    assert refusal(query, user, text=text) == ("BAD_USER_INPUT", f"filter.{field}")
    assert row(task) == before


@pytest.mark.parametrize("field", ["search", "error"])
def test_to_look_for_no_text_is_no_condition_for_all_tasks(user: Identity, field: str):
    make_task()
    query = f'mutation {{ cancelTasks(filter: {{{field}: ""}}) {{ count }} }}'

    assert refusal(query, user)[0] == "BAD_USER_INPUT"
    assert Task.objects.get().status == "QUEUED"
