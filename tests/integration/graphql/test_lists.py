"""tasksConnection: every filter in every order, page by page, compared with what sorting all rows answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from tasks import queues
from tasks.domain.outcome import OutcomeKind
from tasks.listing import TaskOrder
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, make_worker, start
from tests.integration.graphql.paging import page, walk
from tests.support.api import ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def many(db: None) -> list[Task]:
    """Tasks of two teams, three queues and several priorities in all states; one queue ages."""
    worker = make_worker("w").pk
    made = []
    for number in range(48):
        task = make_task(
            "blue" if number % 5 == 0 else "red",
            name=f"job-{number % 3}",
            title=f"Item {number}",
            queue=("default", "mail", "art")[number % 3],
            priority=(5, 20, 1, 7)[number % 4],
            max_retries=0,
            **({"delay_seconds": 60 + number} if number % 8 == 0 else {}),
        )
        match number % 8:
            case 1:
                task = start(task, worker)
            case 2:
                task = finish(task)
            case 3:
                task = finish(task, OutcomeKind.DISCARDED, error=f"no use {number}")
            case 4:
                task = finish(task, OutcomeKind.FAILED, error=f"broke {number}")
            case 5:
                task = finish(make_task("red", name="job-0"))
        made.append(task)
    queues.configure("art", {"ageing_seconds": 60})
    return list(Task.objects.all())


SORTED: dict[str, Callable[[Task], Any]] = {
    "NEWEST": lambda task: -task.pk.int,
    "OLDEST": lambda task: task.pk.int,
    "PRIORITY": lambda task: (-task.priority, task.ready_ms, task.pk.int),
    "UPDATED": lambda task: (-task.updated_at.timestamp(), -task.pk.int),
}
FILTERS: dict[str, tuple[dict[str, Any], Callable[[Task], bool]]] = {
    "all": ({}, lambda task: True),
    "waiting": ({"status": "PENDING"}, lambda task: task.status == "PENDING"),
    "running": ({"status": ["PROCESSING"]}, lambda task: task.status == "PROCESSING"),
    "failed": ({"status": ["FAILED", "dead-letter"]}, lambda task: task.status in ("FAILED", "DEAD_LETTER")),
    "no state": ({"status": []}, lambda task: False),
    "queue": ({"queue": "mail"}, lambda task: task.queue == "mail"),
    "ageing queue": ({"queue": "art", "status": "QUEUED"}, lambda task: (task.queue, task.status) == ("art", "QUEUED")),
    "name": ({"name": "job-1"}, lambda task: task.name == "job-1"),
    "priority": ({"priority": "CRITICAL"}, lambda task: task.priority == 20),
    "lowest priority": ({"priority": -100}, lambda task: task.priority == -100),
    "text": ({"search": "ITEM 1"}, lambda task: task.title.startswith("Item 1")),
    "text of a state": (
        {"search": "item 2", "status": "COMPLETED"},
        lambda task: task.title.startswith("Item 2") and task.status == "COMPLETED",
    ),
    "error": ({"error": "BROKE"}, lambda task: task.error.startswith("broke")),
    "nothing": ({"name": "nobody"}, lambda task: False),
}


@pytest.mark.parametrize("order", SORTED)
@pytest.mark.parametrize("case", FILTERS)
def test_pages_make_up_what_sorting_everything_answers(
    user: Identity, admin: Identity, many: list[Task], case: str, order: str
):
    wanted, is_wanted = FILTERS[case]

    for who in (user, admin):
        visible = [task for task in many if who.is_admin or task.team_id == who.team_id]
        expected = [str(task.pk) for task in sorted(filter(is_wanted, visible), key=SORTED[order])]
        assert walk(who, 4, filter=wanted, order=order) == expected
        assert [node["id"] for node in page(who, first=1000, filter=wanted, order=order)["nodes"]] == expected


@pytest.mark.parametrize("order", SORTED)
@pytest.mark.parametrize("search", [None, "item"])
def test_what_an_offset_passes_over_is_left_out(user: Identity, many: list[Task], search: str | None, order: str):
    text = {"search": search} if search else {}
    query = (
        "query ($limit: Int, $offset: Int, $search: String, $order: TaskOrder) "
        "{ tasks(limit: $limit, offset: $offset, search: $search, orderBy: $order) { id } }"
    )
    visible = [task for task in many if task.team_id == user.team_id and task.title.lower().startswith(search or "")]
    expected = [str(task.pk) for task in sorted(visible, key=SORTED[order])]

    for offset in (0, 1, 5, len(expected) - 1, len(expected), 20_000):
        shown = data(query, user, limit=3, offset=offset, order=order, **text)["tasks"]
        assert [task["id"] for task in shown] == expected[offset : offset + 3]


def test_what_an_offset_passes_over_stays_in_the_database(user: Identity, many: list[Task]):
    with CaptureQueriesContext(connection) as queries:
        data("{ tasks(limit: 2, offset: 7) { id } }", user)

    assert queries[0]["sql"].endswith("LIMIT 3 OFFSET 7")


@pytest.mark.parametrize(
    "query",
    [
        "{ tasks(limit: 1, offset: 2147483647) { id } }",
        "{ " + " ".join(f"t{n}: tasks(limit: 1, offset: 10000) {{ id }}" for n in range(5)) + " }",
        "{ " + " ".join(f't{n}: tasks(limit: 1, search: "nonesuch") {{ id }}' for n in range(10)) + " }",
        "{ "
        + " ".join(f't{n}: tasksConnection(filter: {{ error: "x" }}) {{ nodes {{ id }} }}' for n in range(10))
        + " }",
    ],
)
def test_to_pass_over_or_look_through_very_many_tasks_is_refused(admin: Identity, query: str):
    with CaptureQueriesContext(connection) as queries:
        (error,) = ask(query, identity=admin)["errors"]

    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "tasksConnection(after:) instead of an offset" in error["message"]
    assert len(queries) == 0


def test_every_order_is_compared():
    assert set(SORTED) == {order.name for order in TaskOrder}


def test_what_names_things_by_id_finds_them(user: Identity, many: list[Task]):
    running = [task for task in many if task.status == "PROCESSING" and task.team_id == user.team_id]
    mine, other = running[0], next(task for task in many if task.team_id != user.team_id)
    create = 'mutation { createTask(input: {name: "n", cronExpression: "@daily"}) { id schedule { id } } }'
    coming = data(create, user)["createTask"]

    def found(**wanted: Any) -> set[str]:
        return set(walk(user, 50, filter=wanted))

    assert found(ids=[str(mine.pk), str(other.pk), "nonsense"]) == {str(mine.pk)}
    assert found(ids=[]) == set()
    assert found(scheduleId=coming["schedule"]["id"]) == {coming["id"]}
    assert found(workerId=str(mine.lease_owner)) == {str(task.pk) for task in running}
    assert found(workerId="nonsense") == found(scheduleId=str(uuid4())) == set()
    assert found(workerId=str(mine.lease_owner), status="QUEUED") == set()
    assert found(teamId=str(other.team_id)) == found(teamId="nonsense") == set()
    assert found(search=str(mine.pk)) == {str(mine.pk)}


def test_an_admin_asks_for_one_team(admin: Identity, many: list[Task]):
    team = next(task for task in many if task.title == "Item 0").team_id

    expected = {str(task.pk) for task in many if task.team_id == team}
    assert set(walk(admin, 5, filter={"teamId": str(team)})) == expected


def test_a_span_of_time_takes_its_beginning_and_not_its_end(admin: Identity, many: list[Task]):
    by_age = sorted(many, key=lambda task: task.created_at)
    span = {
        "createdAfter": DateTime.serialize(by_age[5].created_at),
        "createdBefore": DateTime.serialize(by_age[30].created_at),
    }

    expected = {str(task.pk) for task in many if by_age[5].created_at <= task.created_at < by_age[30].created_at}
    for order in SORTED:
        assert set(walk(admin, 7, filter=span, order=order)) == expected
    assert walk(admin, 7, filter={"createdAfter": "9999-12-31T23:59:59Z"}) == []
    assert walk(admin, 7, filter={"createdBefore": "0001-01-01T00:00:00Z"}) == []


# --- cost ----------------------------------------------------------------------------------------------------------


def test_counts_since_a_moment_are_exact_around_it(user: Identity):
    tasks = [make_task() for _ in range(4)]
    Task.objects.filter(pk=tasks[0].pk).update(created_at=tasks[3].created_at + timedelta(seconds=1))

    query = "query ($since: DateTime) { taskStats(since: $since) { total } }"
    for since, total in ((tasks[3].created_at, 2), (tasks[1].created_at, 4), (tasks[0].created_at - timedelta(1), 4)):
        assert data(query, user, since=DateTime.serialize(since)) == {"taskStats": {"total": total}}


@pytest.mark.parametrize("spelling", ["PRIORITY", "priority", "Priority"])
def test_an_order_may_be_written_in_any_case_and_as_text(user: Identity, spelling: str):
    low, high = make_task(priority=1), make_task(priority=9)
    expected = {"tasks": [{"id": str(high.pk)}, {"id": str(low.pk)}]}
    make_task("blue")

    for literal in (spelling, f'"{spelling}"'):
        assert data(f"{{ tasks(orderBy: {literal}) {{ id }} }}", user) == expected
    for declared in ("String", "TaskOrder"):
        query = f"query ($order: {declared}) {{ tasks(orderBy: $order) {{ id }} }}"
        assert data(query, user, order=spelling) == expected
