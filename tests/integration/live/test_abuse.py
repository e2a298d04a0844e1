"""Clients of the WebSocket that take more than their share: sockets, bytes, replies, answers, tokens that do not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.graphql.making import make_task
from tests.integration.live.conftest import LiveServer
from tests.integration.live.test_conversation import token_of
from tests.support.graphql_socket import open_socket, signed_in
from tests.support.waiting import eventually

StartServer = Callable[..., LiveServer]


def opens(server: LiveServer) -> bool:
    """Whether one socket more can be opened; it is closed again."""
    try:
        with open_socket(server.socket_url):
            return True
    except InvalidStatus as refusal:
        return refusal.response.status_code != 403


def test_an_address_has_so_many_sockets_of_which_nobody_knows_whose_they_are(start_server: StartServer):
    server = start_server(DTQ_UNSIGNED_SOCKETS_PER_ADDRESS="2", DTQ_SOCKET_INIT_TIMEOUT="1m")
    token = token_of()

    with ExitStack() as opened:
        first, _ = (opened.enter_context(open_socket(server.socket_url)) for _ in range(2))
        assert not opens(server)

        first.introduce(token)
        with open_socket(server.socket_url):
            assert not opens(server)
        eventually(lambda: opens(server))

        assert first.ask("{ me { username } }") == {"me": {"username": "ann"}}

    assert server.gauge("dtq_sockets_open") == 0


def test_an_account_has_so_many_sockets(start_server: StartServer):
    server = start_server(DTQ_SOCKETS_PER_USER="1")
    token = token_of()

    with signed_in(server.socket_url, token), open_socket(server.socket_url) as second:
        second.send({"type": "connection_init", "payload": {"token": token}})
        assert second.close_code() == 4429


def test_an_account_has_so_many_subscriptions_on_all_its_sockets(start_server: StartServer):
    server = start_server(DTQ_SUBSCRIPTIONS_PER_USER="2")
    token, other = token_of("ann"), token_of("bob")
    query = "subscription { taskCreated { id } }"

    with (
        signed_in(server.socket_url, token) as first,
        signed_in(server.socket_url, token) as second,
        signed_in(server.socket_url, other) as others,
    ):
        followed = first.follow(query)
        second.follow(query)

        for client in (first, second):
            (error,) = client.refusal(client.start(query))
            assert error["extensions"] == {"code": "TOO_MANY_OPERATIONS"}
        others.follow(query)
        assert second.ask("{ __typename }") == {"__typename": "Query"}

        first.send({"id": followed, "type": "complete"})
        assert first.ask("{ __typename }") == {"__typename": "Query"}
        second.follow(query)


def test_a_client_that_nobody_knows_may_not_send_much(server: LiveServer):
    with open_socket(server.socket_url) as client:
        client.send(json.dumps({"type": "ping"}).ljust(64 * 1024))
        assert client.receive() == {"type": "pong"}
        client.send(json.dumps({"type": "ping"}).ljust(64 * 1024 + 1))
        assert client.close_code() == 4400


def test_a_client_that_pings_and_reads_nothing_is_cut_off(server: LiveServer):
    with open_socket(server.socket_url, answers_pings=False) as client:
        client.introduce(token_of())
        with suppress(ConnectionClosed):
            for number in range(1500):
                client.send({"type": "ping", "payload": {"number": number, "text": "x" * 10_000}})

        # What was on its way when the server hung up makes the network drop all, the reason too (1006).
        assert client.close_code() in (4508, 1006)
    assert opens(server)


def test_tokens_that_do_not_hold_use_up_the_permits_of_their_address(start_server: StartServer):
    server = start_server(DTQ_API_RATE="1", DTQ_API_BURST="3")
    query = {"query": "{ __typename }"}

    def statuses(token: str) -> list[int]:
        headers = {"Authorization": f"Bearer {token}"}
        return [httpx.post(f"{server.http_url}/graphql", json=query, headers=headers).status_code for _ in range(6)]

    def close_code(token: str) -> int:
        with open_socket(server.socket_url) as client:
            client.send({"type": "connection_init", "payload": {"token": token}})
            return client.close_code()

    found = statuses("forged")
    assert found[:3] == [401] * 3
    assert 429 in found
    assert close_code("forged") in (4403, 4503)
    assert 4503 in [close_code("forged") for _ in range(5)]
    assert httpx.post(f"{server.http_url}/graphql", json=query).status_code == 429
    with signed_in(server.socket_url, token_of()) as client:  # a user has permits of their own
        assert client.ask("{ __typename }") == {"__typename": "Query"}


def test_an_answer_or_an_event_that_is_too_large_is_told_in_its_place(start_server: StartServer):
    server = start_server(DTQ_API_MAX_ANSWER_BYTES=str(1024 * 1024))
    large = "a: payload b: payload c: payload d: payload e: payload"
    task = make_task(payload={"text": "x" * 250_000})

    with signed_in(server.socket_url, token_of()) as client:
        refused = client.start(f"query ($id: ID!) {{ task(id: $id) {{ {large} }} }}", id=str(task.pk))
        (error,) = client.refusal(refused)
        assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": 1024 * 1024}

        client.start(f"subscription ($id: ID!) {{ taskUpdated(id: $id, since: 0) {{ {large} }} }}", id=str(task.pk))
        event = client.receive()
        assert event["type"] == "next"
        assert [each["extensions"]["code"] for each in event["payload"]["errors"]] == ["QUERY_TOO_COMPLEX"]

        assert client.ask("{ __typename }") == {"__typename": "Query"}
