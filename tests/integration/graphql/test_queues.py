"""Queues: their counts, and who may pause them or change how they are served."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.clock import from_milliseconds
from dtq_site.foundation.scalars import DateTime
from tasks.models import Queue
from tests.integration.graphql.making import data, finish, make_task, refusal, start

pytestmark = pytest.mark.django_db

FIELDS = "{ name paused depth processing oldestQueuedAt }"
SERVED = "{ name weight ageingSeconds }"
UPDATE = f"mutation ($name: String!, $input: UpdateQueueInput!) {{ updateQueue(name: $name, input: $input) {SERVED} }}"
PAUSE, RESUME = (f"mutation ($name: String!) {{ {verb}Queue(name: $name) {FIELDS} }}" for verb in ("pause", "resume"))


def test_queues_are_counted_over_all_teams(viewer: Identity):
    first = make_task("blue", queue="mail", priority=1)
    make_task("red", queue="mail", priority=20)
    make_task("red", queue="mail", delay_seconds=60)
    start(make_task("red", queue="mail"))
    finish(make_task("red", queue="art"))

    with CaptureQueriesContext(connection) as queries:
        shown = data(f"{{ queues {FIELDS} }}", viewer)["queues"]

    assert [queue for queue in shown if queue["name"] != "default"] == [
        {"name": "art", "paused": False, "depth": 0, "processing": 0, "oldestQueuedAt": None},
        {
            "name": "mail",
            "paused": False,
            "depth": 2,
            "processing": 1,
            "oldestQueuedAt": DateTime.serialize(from_milliseconds(first.ready_ms)),
        },
    ]
    assert len(queries) == 6  # the oldest takes one for each of the two priorities, and one beyond
    assert data('{ queue(name: "mail") { depth } }', viewer) == {"queue": {"depth": 2}}


def test_a_long_line_is_not_gone_through_for_its_oldest(viewer: Identity):
    tasks = [make_task(queue="mail", priority=number % 2) for number in range(40)]

    with CaptureQueriesContext(connection) as queries:
        shown = data('{ queue(name: "mail") { oldestQueuedAt } }', viewer)["queue"]

    assert shown == {"oldestQueuedAt": DateTime.serialize(from_milliseconds(tasks[0].ready_ms))}
    assert len(queries) == 5
    assert not any("MIN(" in query["sql"] for query in queries)
    assert all("LIMIT 1" in query["sql"] for query in queries if "ready_ms" in query["sql"])


def test_names_alone_take_one_query(viewer: Identity):
    make_task(queue="mail")

    with CaptureQueriesContext(connection) as queries:
        data("{ queues { name paused } }", viewer)

    assert len(queries) == 1


def test_a_queue_that_is_not_there_is_not_found(viewer: Identity, admin: Identity):
    assert refusal('{ queue(name: "nowhere") { name } }', viewer) == ("NOT_FOUND", None)
    assert refusal(PAUSE, admin, name="nowhere") == ("NOT_FOUND", None)
    assert refusal(UPDATE, admin, name="nowhere", input={"weight": 2}) == ("NOT_FOUND", None)
    assert not Queue.objects.filter(name="nowhere").exists()


def test_an_admin_pauses_and_resumes(admin: Identity):
    make_task(queue="mail")

    for query, field, paused in ((PAUSE, "pauseQueue", True), (RESUME, "resumeQueue", False)):
        for _ in range(2):
            answer = data(query, admin, name="mail")[field]
            assert (answer["paused"], answer["depth"]) == (paused, 1)
        assert Queue.objects.get(name="mail").paused is paused


def test_an_admin_changes_how_a_queue_is_served(admin: Identity):
    make_task(queue="mail")
    assert data(f'{{ queue(name: "mail") {SERVED} }}', admin)["queue"] == {
        "name": "mail",
        "weight": 1,
        "ageingSeconds": None,
    }

    for input, weight, ageing in (
        ({"weight": 1000}, 1000, None),
        ({"ageingSeconds": 604_800}, 1000, 604_800),
        ({"weight": 1, "ageingSeconds": 0}, 1, None),
        ({"ageingSeconds": 60}, 1, 60),
        ({"weight": 5, "ageingSeconds": None}, 5, None),
        ({"weight": None}, 1, None),
    ):
        answer = data(UPDATE, admin, name="mail", input=input)["updateQueue"]
        assert answer == {"name": "mail", "weight": weight, "ageingSeconds": ageing}
    assert Queue.objects.filter(name="mail").values("weight", "ageing_seconds").get() == {
        "weight": 1,
        "ageing_seconds": None,
    }


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({}, "input"),
        ({"weight": 0}, "input.weight"),
        ({"weight": 1001}, "input.weight"),
        ({"weight": 7, "ageingSeconds": -1}, "input.ageingSeconds"),
        ({"weight": 7, "ageingSeconds": 604_801}, "input.ageingSeconds"),
        ({"weight": "many"}, "input.weight"),
    ],
)
def test_what_a_queue_cannot_have_is_refused_by_name_and_changes_nothing(admin: Identity, input: dict, field: str):
    make_task(queue="mail")
    before = Queue.objects.filter(name="mail").values().get()

    assert refusal(UPDATE, admin, name="mail", input=input) == ("BAD_USER_INPUT", field)

    assert Queue.objects.filter(name="mail").values().get() == before


def test_only_admins_change_how_a_queue_is_served(user: Identity, viewer: Identity, worker_account: Identity):
    make_task(queue="mail")

    for who in (user, viewer, worker_account):
        assert refusal(UPDATE, who, name="mail", input={"weight": 9}) == ("FORBIDDEN", None)
    assert Queue.objects.get(name="mail").weight == 1


@pytest.mark.parametrize("query", [PAUSE, RESUME])
def test_nobody_else_does(user: Identity, viewer: Identity, worker_account: Identity, query: str):
    make_task(queue="mail")

    for who in (user, viewer, worker_account):
        assert refusal(query, who, name="mail") == ("FORBIDDEN", None)
    assert Queue.objects.get(name="mail").paused is False
