"""Queues: their counts, and who may pause them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.identity import Identity
from dtq_site.foundation.scalars import DateTime
from tasks.models import Queue
from tests.integration.graphql.making import data, finish, make_task, refusal, start

pytestmark = pytest.mark.django_db

FIELDS = "{ name paused depth processing oldestQueuedAt }"
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
            "oldestQueuedAt": DateTime.serialize(first.queued_at),
        },
    ]
    assert len(queries) == 3
    assert data('{ queue(name: "mail") { depth } }', viewer) == {"queue": {"depth": 2}}


def test_names_alone_take_one_query(viewer: Identity):
    make_task(queue="mail")

    with CaptureQueriesContext(connection) as queries:
        data("{ queues { name paused } }", viewer)

    assert len(queries) == 1


def test_a_queue_that_is_not_there_is_not_found(viewer: Identity, admin: Identity):
    assert refusal('{ queue(name: "nowhere") { name } }', viewer) == ("NOT_FOUND", None)
    assert refusal(PAUSE, admin, name="nowhere") == ("NOT_FOUND", None)
    assert not Queue.objects.filter(name="nowhere").exists()


def test_an_admin_pauses_and_resumes(admin: Identity):
    make_task(queue="mail")

    for query, field, paused in ((PAUSE, "pauseQueue", True), (RESUME, "resumeQueue", False)):
        for _ in range(2):
            answer = data(query, admin, name="mail")[field]
            assert (answer["paused"], answer["depth"]) == (paused, 1)
        assert Queue.objects.get(name="mail").paused is paused


@pytest.mark.parametrize("query", [PAUSE, RESUME])
def test_nobody_else_does(user: Identity, viewer: Identity, worker_account: Identity, query: str):
    make_task(queue="mail")

    for who in (user, viewer, worker_account):
        assert refusal(query, who, name="mail") == ("FORBIDDEN", None)
    assert Queue.objects.get(name="mail").paused is False
