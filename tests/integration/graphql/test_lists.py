"""tasksConnection: every filter in every order, page by page, compared with what sorting all rows answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tasks import audit, listing, queues
from tasks.domain.outcome import OutcomeKind
from tasks.domain.states import TaskStatus
from tasks.listing import TaskOrder
from tasks.models import Task
from tests.integration.graphql.making import data, finish, make_task, make_worker, refusal, row, start
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db

PAGE = """query ($first: Int, $after: String, $filter: TaskFilter, $order: TaskOrder) {
  tasksConnection(first: $first, after: $after, filter: $filter, orderBy: $order) {
    edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def page(identity: Identity, **variables: Any) -> dict[str, Any]:
    return data(PAGE, identity, **variables)["tasksConnection"]


def walk(identity: Identity, first: int, **variables: Any) -> list[str]:
    """The ids of all pages, one after the other."""
    found, after = [], None
    while True:
        answer = page(identity, first=first, after=after, **variables)
        found += [node["id"] for node in answer["nodes"]]
        after = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            return found


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

    for offset in (0, 1, 5, len(expected) - 1, len(expected), 2**31 - 1):
        shown = data(query, user, limit=3, offset=offset, order=order, **text)["tasks"]
        assert [task["id"] for task in shown] == expected[offset : offset + 3]


def test_what_an_offset_passes_over_stays_in_the_database(user: Identity, many: list[Task]):
    with CaptureQueriesContext(connection) as queries:
        data("{ tasks(limit: 2, offset: 7) { id } }", user)

    assert queries[0]["sql"].endswith("LIMIT 3 OFFSET 7")


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


# --- pages ---------------------------------------------------------------------------------------------------------


def test_a_page_says_where_it_begins_and_ends(user: Identity):
    made = [str(make_task().pk) for _ in range(3)]

    first = page(user, first=2)
    second = page(user, first=2, after=first["pageInfo"]["endCursor"])

    assert [edge["node"]["id"] for edge in first["edges"]] == [made[2], made[1]]
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][1]["cursor"],
    }
    assert [edge["node"]["id"] for edge in second["edges"]] == [made[0]]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


def test_a_page_of_nothing_has_no_cursors(user: Identity):
    nothing = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}

    assert page(user) == {"edges": [], "nodes": [], "pageInfo": nothing}
    make_task()
    assert page(user, first=0)["pageInfo"] == nothing


def test_what_is_created_meanwhile_shifts_nothing(user: Identity):
    made = [str(make_task().pk) for _ in range(4)]
    first = page(user, first=2)
    make_task()

    second = page(user, first=2, after=first["pageInfo"]["endCursor"])

    assert [node["id"] for node in second["nodes"]] == [made[1], made[0]]


def _encoded(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage",
        "ÿ",
        _encoded("OLDEST", ID_OF_NOTHING),
        _encoded("NEWEST"),
        _encoded("NEWEST", "no id"),
        _encoded("NEWEST", 5),
        _encoded("NEWEST", ID_OF_NOTHING, 1),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(user: Identity, cursor: str):
    make_task()

    assert refusal(PAGE, user, after=cursor) == ("BAD_USER_INPUT", "after")


@pytest.mark.parametrize(
    ("order", "values"),
    [
        ("PRIORITY", [5, 2**63, str(UUID(int=1))]),
        ("PRIORITY", [True, 1, str(UUID(int=1))]),
        ("PRIORITY", ["5", 1, str(UUID(int=1))]),
        ("UPDATED", ["2030-01-01T00:00:00", str(UUID(int=1))]),
        ("UPDATED", [7, str(UUID(int=1))]),
    ],
)
def test_a_cursor_with_wrong_values_is_refused(user: Identity, order: str, values: list[Any]):
    assert refusal(PAGE, user, order=order, after=_encoded(order, *values)) == ("BAD_USER_INPUT", "after")


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"first": 1001}, "first"),
        ({"first": -1}, "first"),
        ({"filter": {"ids": ["x"] * 1001}}, "filter.ids"),
        ({"filter": {"status": "SLEEPING"}}, "filter.status"),
        ({"filter": {"size": 1}}, "filter.size"),
    ],
)
def test_a_bad_argument_is_named(user: Identity, variables: dict[str, Any], field: str):
    assert refusal(PAGE, user, **variables) == ("BAD_USER_INPUT", field)


# --- text ----------------------------------------------------------------------------------------------------------


def test_text_is_looked_for_in_a_bounded_number_and_the_page_says_where_to_go_on(
    user: Identity, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "SEARCHED", 4)
    monkeypatch.setattr(listing, "SEARCHED_AT_ONCE", 2)
    oldest = str(make_task(title="A needle").pk)
    hay = [str(make_task(title="Hay").pk) for _ in range(5)]

    first = page(user, filter={"search": "needle"})
    second = page(user, filter={"search": "needle"}, after=first["pageInfo"]["endCursor"])

    assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([], True)
    assert [node["id"] for node in second["nodes"]] == [oldest]
    assert second["pageInfo"]["hasNextPage"] is False
    assert data('{ tasks(search: "needle") { id } }', user)["tasks"] == []
    assert data('{ tasks(search: "hay") { id } }', user)["tasks"] == [{"id": id_} for id_ in reversed(hay[1:])]
    assert walk(user, 1, filter={"search": "needle"}, order="PRIORITY") == []


def test_an_id_is_found_however_old_its_task_is(user: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "SEARCHED", 2)
    monkeypatch.setattr(listing, "SEARCHED_AT_ONCE", 2)
    oldest = make_task(title="A needle")
    for _ in range(3):
        make_task(title="Hay")

    assert walk(user, 10, filter={"search": str(oldest.pk)}) == [str(oldest.pk)]


@pytest.mark.parametrize("text", ["Straße", "50% off", "a_b", "back\\slash", "🚀 launch", "it's"])
def test_text_is_taken_as_it_is(user: Identity, text: str):
    task = make_task(title=f"One {text} two")
    make_task(title="Another", description=f"of {text}")
    make_task(title="50 off a b")

    assert len(walk(user, 10, filter={"search": text})) == 2
    assert walk(user, 10, filter={"search": f"one {text}"}) == [str(task.pk)]


# --- cost ----------------------------------------------------------------------------------------------------------

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
