"""Following tasks while Redis fails: messages are dropped in every way, and the end of each task is shown all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.graphql.making import finish, make_task
from tests.integration.live.conftest import LiveServer
from tests.integration.live.test_following import token_of
from tests.support.graphql_socket import GraphQLSocketClient, signed_in
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

Connect = Callable[[str], GraphQLSocketClient]
StartServer = Callable[..., LiveServer]

needs_redis_server = pytest.mark.skipif(
    RedisServer.program is None, reason="this needs the Debian package redis-server"
)


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the server's own: what this process publishes in the run's Redis never reaches it."""
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    yield redis
    redis.stop()


@needs_redis_server
def test_the_end_of_a_followed_task_is_shown_although_no_message_arrives(
    start_server: StartServer, other_redis: RedisServer
):
    task = make_task("red")
    with signed_in(start_server(REDIS_URL=other_redis.url).socket_url, token_of()) as client:
        followed = client.follow("subscription ($id: ID!) { taskUpdated(id: $id) { status } }", id=str(task.pk))

        finish(task)

        assert client.until(followed, "taskUpdated", "COMPLETED", 10.0)


@needs_redis_server
def test_while_redis_is_away_all_is_shown_from_the_database(start_server: StartServer, other_redis: RedisServer):
    server = start_server(REDIS_URL=other_redis.url)
    task = make_task("red")
    with signed_in(server.socket_url, token_of()) as client:
        one = client.follow("subscription ($id: ID!) { taskUpdated(id: $id) { status } }", id=str(task.pk))
        created = client.follow("subscription { taskCreated { id } }")
        ended = client.follow("subscription { taskStatusChanged { id status } }")

        other_redis.stop()
        finish(task)
        later = make_task("red")
        finish(later)

        assert client.until(one, "taskUpdated", "COMPLETED", 10.0)
        assert client.next(created) == {"taskCreated": {"id": str(later.pk)}}
        shown = {client.next(ended)["taskStatusChanged"]["id"] for _ in range(2)}
        assert shown == {str(task.pk), str(later.pk)}

        other_redis.start()
        assert client.ask("{ __typename }") == {"__typename": "Query"}


@needs_redis_server
def test_a_subscription_can_be_started_while_redis_is_away(start_server: StartServer, other_redis: RedisServer):
    server = start_server(REDIS_URL=other_redis.url)
    task = make_task("red")
    other_redis.stop()
    with signed_in(server.socket_url, token_of()) as client:
        one = client.follow("subscription ($id: ID!) { taskUpdated(id: $id) { status } }", id=str(task.pk))
        created = client.follow("subscription { taskCreated { id } }")

        finish(task)
        later = make_task("red")

        assert client.until(one, "taskUpdated", "COMPLETED", 10.0)
        assert client.next(created) == {"taskCreated": {"id": str(later.pk)}}
    assert "Traceback" not in server.process.output


@needs_redis_server
def test_a_frozen_redis_delays_and_loses_nothing(start_server: StartServer, other_redis: RedisServer):
    with signed_in(start_server(REDIS_URL=other_redis.url).socket_url, token_of()) as client:
        created = client.follow("subscription { taskCreated { id } }")

        other_redis.freeze()
        try:
            task = make_task("red")
            assert client.next(created) == {"taskCreated": {"id": str(task.pk)}}
        finally:
            other_redis.thaw()
        assert client.silent()


def test_what_is_lost_with_the_connection_to_redis_is_made_good(connect: Connect, redis_server: Redis):
    client = connect(token_of())
    moves = client.follow("subscription { taskStatusChanged { id status } }")

    for _ in range(3):
        task = make_task("red")
        redis_server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        finish(task)

        assert client.until(moves, "taskStatusChanged", "COMPLETED", 10.0)[-1]["id"] == str(task.pk)
    assert client.silent()


def test_a_flush_of_redis_loses_no_message(connect: Connect, redis_server: Redis):
    client = connect(token_of())
    moves = client.follow("subscription { taskStatusChanged { id status } }")

    redis_server.flushall()
    task = finish(make_task("red"))

    assert client.until(moves, "taskStatusChanged", "COMPLETED", 10.0)[-1]["id"] == str(task.pk)
    assert client.silent()


@pytest.mark.long
def test_when_nobody_subscribes_any_more_nobody_listens(connect: Connect, redis_server: Redis):
    from tasks.queue import keys

    def listeners() -> int:
        return redis_server.pubsub_numsub(keys.EVENTS)[0][1]

    eventually(lambda: listeners() == 0, 20.0)
    client = connect(token_of())
    followed = client.follow("subscription { taskCreated { id } }")
    assert listeners() == 1

    client.send({"id": followed, "type": "complete"})
    asked_at = time.monotonic()
    eventually(lambda: listeners() == 0, 20.0)

    assert time.monotonic() - asked_at > 1.0
    again = client.follow("subscription { taskCreated { name } }")
    make_task("red")
    assert client.next(again) == {"taskCreated": {"name": "send-email"}}
