"""Many sockets at once, clients that vanish, and clients that do not read: nothing leaks, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.graphql.making import finish, make_task
from tests.integration.live.conftest import LiveServer
from tests.integration.live.test_following import token_of
from tests.support.graphql_socket import SUBPROTOCOL, open_socket, signed_in
from tests.support.waiting import eventually

CREATED = "subscription { taskCreated { id payload } }"


async def opened(url: str, token: str, query: str) -> ClientConnection:
    """A connection with one subscription that has started."""
    connection = await connect(url, subprotocols=[SUBPROTOCOL], compression=None, open_timeout=30, ping_interval=None)
    await connection.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
    assert json.loads(await connection.recv()) == {"type": "connection_ack"}
    for id_, text in (("1", query), ("2", "{ __typename }")):
        await connection.send(json.dumps({"id": id_, "type": "subscribe", "payload": {"query": text}}))
    while json.loads(await connection.recv()) != {"id": "2", "type": "complete"}:
        pass
    return connection


def test_a_hundred_and_fifty_sockets_connect_at_once_and_all_are_served(server: LiveServer):
    token = token_of()

    async def crowd() -> list[str]:
        async with AsyncExitStack() as stack:
            connections = await asyncio.gather(*(opened(server.socket_url, token, CREATED) for _ in range(150)))
            for connection in connections:
                stack.push_async_callback(connection.close)
            task = await asyncio.to_thread(make_task, "red")
            messages = await asyncio.gather(*(asyncio.wait_for(each.recv(), 20) for each in connections))
            assert {json.loads(message)["payload"]["data"]["taskCreated"]["id"] for message in messages} == {
                str(task.pk)
            }
            return messages

    assert len(asyncio.run(crowd())) == 150


@pytest.mark.timeout(240)
def test_a_thousand_sockets_that_are_dropped_amid_events_leave_nothing_behind(server: LiveServer):
    token = token_of()
    files = Path(f"/proc/{server.process.pid}/fd")
    with signed_in(server.socket_url, token) as witness:
        followed = witness.follow("subscription { taskStatusChanged { id status } }")
        eventually(lambda: server.gauge("dtq_subscriptions_open") == 1)
        files_before = len(list(files.iterdir()))

        async def drop(number: int) -> None:
            connections = await asyncio.gather(
                *(opened(server.socket_url, token, "subscription { taskUpdated { id } }") for _ in range(number))
            )
            task = await asyncio.to_thread(make_task, "red")
            for connection in connections:
                connection.transport.abort()
            await asyncio.to_thread(finish, task)

        for _ in range(10):
            asyncio.run(drop(100))

        assert len([witness.until(followed, "taskStatusChanged", "COMPLETED") for _ in range(10)]) == 10
        eventually(lambda: server.gauge("dtq_subscriptions_open") == 1, 20.0)
        assert server.gauge("dtq_sockets_open") == 1
        eventually(lambda: len(list(files.iterdir())) <= files_before + 5, 20.0)
    assert "Traceback" not in server.process.output


def test_a_client_that_does_not_read_is_cut_off_and_the_others_are_served(start_server: Callable[..., LiveServer]):
    server = start_server(DTQ_SOCKET_PATIENCE="2s")
    token = token_of()
    with (
        signed_in(server.socket_url, token) as reader,
        open_socket(server.socket_url, answers_pings=False, max_size=None) as idler,
    ):
        idler.introduce(token)
        idler.start(CREATED)
        assert idler.ask("{ __typename }")
        followed = reader.follow(CREATED)

        made = [str(make_task("red", payload={"much": "x" * 200_000}).pk) for _ in range(10)]

        assert [reader.next(followed)["taskCreated"]["id"] for _ in made] == made
        assert idler.close_code(15.0) == 4508
        make_task("red")
        assert reader.next(followed)


def test_a_client_that_is_too_far_behind_is_cut_off_at_once(start_server: Callable[..., LiveServer]):
    server = start_server(DTQ_SOCKET_BACKLOG="10")
    with open_socket(server.socket_url, answers_pings=False, max_size=None) as idler:
        idler.introduce(token_of())
        idler.start(CREATED)
        assert idler.ask("{ __typename }")

        for _ in range(20):
            make_task("red", payload={"much": "x" * 200_000})

        assert idler.close_code(10.0) == 4508
