"""The WebSocket of a real server: handshake, introduction, operations, limits, and how it is closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from rest_framework_simplejwt.tokens import AccessToken
from websockets.exceptions import InvalidStatus

from accounts import authentication
from accounts.models import User
from accounts.roles import Role
from tasks.models import Task
from tests.integration.accounts.making import edit, make_user, sign_in
from tests.integration.graphql.making import make_task
from tests.integration.live.conftest import LiveServer
from tests.support.factories import make_team
from tests.support.graphql_socket import SUBPROTOCOL, GraphQLSocketClient, open_socket, signed_in

Connect = Callable[[str], GraphQLSocketClient]


def token_of(username: str = "ann") -> str:
    make_user(username, team=make_team("red"))
    return sign_in(username).access_token


# --- handshake -----------------------------------------------------------------------------------------------------


def test_the_sub_protocol_is_the_one_that_was_asked_for(server: LiveServer):
    with open_socket(server.socket_url) as client:
        assert client.connection.subprotocol == SUBPROTOCOL


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws"])
def test_a_client_of_another_sub_protocol_is_told_so(server: LiveServer, subprotocol: str | None):
    with open_socket(server.socket_url, subprotocol=subprotocol) as client:
        assert client.close_code() == 4406


def test_the_path_may_end_with_a_slash(server: LiveServer):
    with open_socket(f"{server.socket_url}/") as client:
        assert client.connection.subprotocol == SUBPROTOCOL


def test_another_path_has_no_socket(server: LiveServer):
    with pytest.raises(InvalidStatus, match="403"), open_socket(server.socket_url.replace("graphql", "elsewhere")):
        pass

    assert "Traceback" not in server.process.output


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_is_refused(server: LiveServer, origin: str):
    with pytest.raises(InvalidStatus, match="403"), open_socket(server.socket_url, origin=origin):
        pass


def test_a_page_of_our_own_or_a_named_origin_may_connect(start_server: Callable[..., LiveServer]):
    server = start_server(DTQ_ALLOWED_ORIGINS="https://app.example.com")
    for origin in (server.http_url, "https://app.example.com"):
        with open_socket(server.socket_url, origin=origin) as client:
            client.introduce(token_of(f"user{len(origin)}"))


# --- introduction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"AUTHORIZATION": "{}"},
        {"token": "{}"},
        {"Token": "Bearer {}"},
        {"headers": {"Authorization": "Bearer {}"}},
    ],
)
def test_the_token_is_taken_in_every_usual_form(server: LiveServer, payload: dict):
    text = json.dumps({"type": "connection_init", "payload": payload}).replace("{}", token_of())
    with open_socket(server.socket_url) as client:
        client.send(text)

        assert client.receive() == {"type": "connection_ack"}
        assert client.ask("{ me { username } }") == {"me": {"username": "ann"}}


def test_the_token_may_come_with_the_handshake(server: LiveServer):
    headers = {"Authorization": f"Bearer {token_of()}"}
    with open_socket(server.socket_url, additional_headers=headers) as client:
        client.introduce(None)

        assert client.ask("{ me { username } }") == {"me": {"username": "ann"}}


@pytest.mark.parametrize("payload", [{}, {"token": ""}, {"token": 1}, {"token": "no token"}, {"headers": []}])
def test_who_brings_no_token_that_holds_is_refused(server: LiveServer, payload: dict):
    with open_socket(server.socket_url) as client:
        client.send({"type": "connection_init", "payload": payload})

        assert client.close_code() == 4403


def test_who_does_not_introduce_itself_is_cut_off(start_server: Callable[..., LiveServer]):
    server, token = start_server(DTQ_SOCKET_INIT_TIMEOUT="300ms"), token_of()
    with open_socket(server.socket_url) as client:
        assert client.close_code() == 4408

    with open_socket(server.socket_url) as client:
        client.introduce(token)
        assert client.silent(1.0)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("garbage", 4400),
        ('{"type": "unknown"}', 4400),
        ('{"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}}', 4401),
    ],
)
def test_before_the_introduction_nothing_else_may_be_sent(server: LiveServer, message: str, code: int):
    with open_socket(server.socket_url) as client:
        client.send(message)

        assert client.close_code() == code


def test_what_is_against_the_protocol_closes_the_socket(connect: Connect):
    token = token_of()
    second_init, same_id, binary = connect(token), connect(token), connect(token)

    second_init.send({"type": "connection_init"})
    for _ in range(2):
        payload = {"query": "subscription { taskCreated { id } }"}
        same_id.send({"id": "a", "type": "subscribe", "payload": payload})
    binary.connection.send(b"{}")

    assert [client.close_code() for client in (second_init, same_id, binary)] == [4429, 4409, 4400]


# --- operations ----------------------------------------------------------------------------------------------------


def test_queries_and_mutations_work_over_the_socket(connect: Connect):
    client = connect(token_of())

    made = client.ask("mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }", input={"name": "job"})

    assert client.ask("{ tasks { id } }") == {"tasks": [made["createTask"]]}


def test_an_error_of_a_field_comes_with_its_result(connect: Connect):
    client = connect(token_of())

    id_ = client.start("{ task(id: 1) { id } me { username } }")

    result = client.receive()
    assert (result["id"], result["type"]) == (id_, "next")
    assert result["payload"]["data"] == {"task": None, "me": {"username": "ann"}}
    assert [error["extensions"]["code"] for error in result["payload"]["errors"]] == ["NOT_FOUND"]
    assert client.receive() == {"id": id_, "type": "complete"}


def test_what_cannot_be_run_is_answered_with_an_error(connect: Connect):
    client = connect(token_of())

    for query in ("{", "{ nothing }", "query ($id: ID!) { task(id: $id) { id } }", ""):
        errors = client.refusal(client.start(query))
        assert [error["extensions"]["code"] for error in errors] == ["BAD_USER_INPUT"]
        assert all({"message", "extensions"} <= error.keys() for error in errors)


def test_a_completed_subscription_is_shown_no_more(connect: Connect):
    client = connect(token_of())
    ended = client.follow("subscription { taskCreated { id } }")
    going = client.follow("subscription { taskCreated { name } }")

    client.send({"id": ended, "type": "complete"})
    assert client.ask("{ __typename }")
    make_task("red")

    assert client.next(going) == {"taskCreated": {"name": "send-email"}}
    assert client.silent()


def test_a_ping_is_answered(connect: Connect):
    client = connect(token_of())

    client.send({"type": "ping", "payload": {"n": 1}})

    assert client.receive() == {"type": "pong", "payload": {"n": 1}}


def test_an_idle_socket_stays_open(connect: Connect):
    client = connect(token_of())
    followed = client.follow("subscription { taskCreated { name } }")

    assert client.silent(8.0)

    make_task("red")
    assert client.next(followed) == {"taskCreated": {"name": "send-email"}}


# --- limits --------------------------------------------------------------------------------------------------------


def test_the_limits_of_a_socket_are_settings(start_server: Callable[..., LiveServer]):
    server = start_server(DTQ_SOCKET_OPERATIONS="2", DTQ_SOCKETS_PER_USER="1", DTQ_SOCKET_MESSAGE_BYTES="1024")
    token, other = token_of(), token_of("bob")
    with signed_in(server.socket_url, token) as client:
        first = client.follow("subscription { taskCreated { id } }")
        client.start("subscription { taskUpdated { id } }")
        refused = client.start("subscription { taskStatusChanged { id } }")
        assert [error["extensions"]["code"] for error in client.refusal(refused)] == ["TOO_MANY_OPERATIONS"]
        client.send({"id": first, "type": "complete"})
        assert client.ask("{ __typename }") == {"__typename": "Query"}

        with open_socket(server.socket_url) as second:
            second.send({"type": "connection_init", "payload": {"token": token}})
            assert second.close_code() == 4429
        with signed_in(server.socket_url, other):
            pass

        client.send('{"type": "ping"' + " " * 1024 + "}")
        assert client.close_code() == 4400


# --- tokens that end -----------------------------------------------------------------------------------------------


def test_a_token_that_expires_closes_its_socket(connect: Connect):
    token = AccessToken(token_of())
    token.set_exp(lifetime=timedelta(seconds=3))
    client = connect(str(token))
    client.follow("subscription { taskCreated { id } }")

    assert client.close_code(10.0) == 4403


@pytest.mark.parametrize(
    "change",
    [
        lambda user, session: authentication.log_out(refresh_token=session.refresh_token, identity=None),
        lambda user, session: edit(user, is_active=False),
        lambda user, session: edit(user, role=Role.VIEWER),
        lambda user, session: edit(user, team=make_team("blue")),
    ],
    ids=["logged out", "deactivated", "demoted", "moved to another team"],
)
def test_a_socket_does_not_outlive_what_its_token_opened(server: LiveServer, change: Callable):
    make_user("ann", team=make_team("red"))
    make_user("bob", team=make_team("red"))
    session = sign_in("ann")
    with (
        signed_in(server.socket_url, session.access_token) as client,
        signed_in(server.socket_url, sign_in("bob").access_token) as other,
    ):
        client.follow("subscription { taskCreated { id } }")

        change(User.objects.get(username="ann"), session)

        assert client.close_code(6.0) == 4403
        assert other.ask("{ me { username } }") == {"me": {"username": "bob"}}


def test_a_demotion_holds_for_the_very_next_operation(server: LiveServer):
    user = make_user("ann", team=make_team("red"))
    with signed_in(server.socket_url, sign_in("ann").access_token) as client:
        edit(user, role=Role.VIEWER)

        id_ = client.start('mutation { createTask(input: { name: "job" }) { id } }')

        result = client.receive()
        assert (result["id"], result["payload"]["data"]) == (id_, None)
        assert [error["extensions"]["code"] for error in result["payload"]["errors"]] == ["FORBIDDEN"]
        assert Task.objects.count() == 0
