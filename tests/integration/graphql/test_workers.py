"""Workers as the API shows them."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from accounts.identity import Identity
from accounts.models import Team
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.scalars import DateTime
from tests.integration.graphql.making import data, make_task, make_worker, refusal, start
from tests.support.factories import ID_OF_NOTHING
from workers import presence

pytestmark = pytest.mark.django_db


def names(arguments: str, identity: Identity) -> list[str]:
    return [worker["name"] for worker in data(f"{{ workers{arguments} {{ name }} }}", identity)["workers"]]


def test_everything_of_a_worker_is_shown(viewer: Identity):
    worker = make_worker("w", handlers=("b", "a"))
    start(make_task(), worker.pk), start(make_task("blue"), worker.pk)

    query = f"""{{ worker(id: "{worker.pk}") {{ id name hostname queues handlers concurrency transport
        activeTaskCount isOnline status lastHeartbeat startedAt version }} }}"""
    assert data(query, viewer)["worker"] == {
        "id": str(worker.pk),
        "name": "w",
        "hostname": "host",
        "queues": ["mail"],
        "handlers": ["a", "b"],
        "concurrency": 5,
        "transport": "direct",
        "activeTaskCount": 2,
        "isOnline": True,
        "status": "RUNNING",
        "lastHeartbeat": DateTime.serialize(worker.last_heartbeat),
        "startedAt": DateTime.serialize(worker.started_at),
        "version": "1",
    }


def test_silent_and_stopped_workers_are_offline(viewer: Identity):
    make_worker("lives")
    make_worker("silent", silent=timedelta(minutes=5))
    presence.sign_off(make_worker("stopped").pk, database_clock.now())

    assert names("", viewer) == ["lives", "silent", "stopped"]
    assert names("(online: true)", viewer) == ["lives"]
    assert names("(online: false)", viewer) == ["silent", "stopped"]


def test_a_team_sees_the_workers_that_serve_it(viewer: Identity, stranger: Identity, admin: Identity):
    make_worker("all")
    red = make_worker("red", team=Team.objects.get(pk=viewer.team_id))
    query = f'{{ worker(id: "{red.pk}") {{ name }} }}'

    assert {who: names("", who) for who in (viewer, stranger, admin)} == {
        viewer: ["all", "red"],
        stranger: ["all"],
        admin: ["all", "red"],
    }
    assert data(query, viewer) == data(query, admin) == {"worker": {"name": "red"}}
    assert refusal(query, stranger) == ("NOT_FOUND", None)


@pytest.mark.parametrize("id", ["nonsense", ID_OF_NOTHING])
def test_an_id_of_nothing_is_not_found(viewer: Identity, id: str):
    assert refusal("query ($id: ID!) { worker(id: $id) { name } }", viewer, id=id) == ("NOT_FOUND", None)


def test_a_workers_account_and_nobody_do_not_look(worker_account: Identity):
    assert refusal("{ workers { id } }", worker_account) == ("FORBIDDEN", None)
    assert refusal("{ workers { id } }") == ("UNAUTHENTICATED", None)


def test_a_task_of_a_forgotten_worker_has_none(viewer: Identity):
    start(make_task(), uuid4())

    assert data("{ tasks { status worker { name } } }", viewer) == {"tasks": [{"status": "PROCESSING", "worker": None}]}
