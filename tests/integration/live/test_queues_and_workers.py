"""Following queues and workers over a real server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tests.integration.graphql.making import finish, make_task, make_worker
from tests.integration.live.test_following import token_of
from tests.support.factories import make_team
from tests.support.graphql_socket import GraphQLSocketClient
from workers import presence
from workers.domain.liveness import WorkerStatus

Connect = Callable[[str], GraphQLSocketClient]

WORKERS = "subscription { workerStatusChanged { name status isOnline } }"


def test_queues_are_shown_at_once_and_whenever_they_look_different(connect: Connect):
    client = connect(token_of())
    followed = client.start('subscription { queueStats(queue: "default") { name depth } }')
    assert client.next(followed) == {"queueStats": [{"name": "default", "depth": 0}]}
    assert client.silent(2.0)

    task = make_task("red")
    assert client.next(followed) == {"queueStats": [{"name": "default", "depth": 1}]}
    finish(task)

    assert client.next(followed) == {"queueStats": [{"name": "default", "depth": 0}]}


def test_a_queue_that_is_not_there_yet_is_shown_when_it_is(connect: Connect):
    client = connect(token_of())
    followed = client.start('subscription { queueStats(queue: "later") { name depth } }')
    assert client.next(followed) == {"queueStats": []}

    make_task("red", queue="later")

    assert client.next(followed) == {"queueStats": [{"name": "later", "depth": 1}]}


def test_a_worker_is_shown_when_it_comes_stops_and_goes(connect: Connect):
    client = connect(token_of())
    followed = client.follow(WORKERS)

    worker = make_worker("w")
    assert client.next(followed) == {"workerStatusChanged": {"name": "w", "status": "RUNNING", "isOnline": True}}
    presence.beat(worker.pk, WorkerStatus.STOPPING, database_clock.now())
    assert client.next(followed) == {"workerStatusChanged": {"name": "w", "status": "STOPPING", "isOnline": True}}
    presence.beat(worker.pk, WorkerStatus.STOPPING, database_clock.now())
    assert client.silent(2.0)
    presence.sign_off(worker.pk, database_clock.now())

    assert client.next(followed) == {"workerStatusChanged": {"name": "w", "status": "STOPPED", "isOnline": False}}


def test_a_worker_is_shown_when_it_falls_silent_and_when_it_is_back(connect: Connect):
    worker = make_worker("w", silent=timedelta(seconds=27))
    client = connect(token_of())
    followed = client.follow(WORKERS)

    assert client.next(followed) == {"workerStatusChanged": {"name": "w", "status": "RUNNING", "isOnline": False}}
    presence.beat(worker.pk, WorkerStatus.RUNNING, database_clock.now())

    assert client.next(followed) == {"workerStatusChanged": {"name": "w", "status": "RUNNING", "isOnline": True}}


def test_workers_of_other_teams_are_shown_to_admins_only(connect: Connect):
    user, admin = connect(token_of()), connect(token_of("eve", "office", Role.ADMIN))
    of_user, of_admin = user.follow(WORKERS), admin.follow(WORKERS)

    make_worker("blue one", team=make_team("blue"))

    shown = {"workerStatusChanged": {"name": "blue one", "status": "RUNNING", "isOnline": True}}
    assert admin.next(of_admin) == shown
    assert user.silent(2.0)
    make_worker("red one", team=make_team("red"))
    assert user.next(of_user)["workerStatusChanged"]["name"] == "red one"
