"""A server of the API while its database is away, or hangs: what it refuses, and its recovery by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from dtq_site.api.protocol import CloseCode
from dtq_site.schema import schema
from tests.e2e.api_client import AT_ONCE, FOLLOW, RECOVERY, Client
from tests.e2e.conftest import hanging, stopped
from tests.integration.accounts.making import PASSWORD
from tests.integration.graphql.documents import document, operations
from tests.support.graphql_socket import open_socket, signed_in
from tests.support.servers import MariaDbServer

THREADS = 4
A_FEW_SECONDS = 12.0
UNAVAILABLE_AT_ONCE = (503, "UNAVAILABLE", True)
OPERATIONS = sorted(name for name in operations() if not name.startswith("Subscription."))


@pytest.fixture
def on_mariadb(redis_server: Any, on_own_mariadb: MariaDbServer, start_client: Callable[..., Client]) -> Client:
    """A client of a server whose database may be stopped; without what earlier tests left there."""
    from accounts import registration
    from accounts.models import User
    from tasks import queues
    from tasks.models import Task

    for rows in (Task, User):
        rows.objects.all().delete()
    registration.forget_teams()
    queues.forget_known()
    return start_client(DATABASE_URL=on_own_mariadb.url())


def smallest(kind: GraphQLInputType) -> Any:
    """A value of that type with nothing in it that may be left out."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        return [smallest(kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {name: smallest(field.type) for name, field in kind.fields.items() if is_required_input_field(field)}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return {"ID": str(uuid4()), "Int": 1, "JSON": {}, "Boolean": True}.get(get_named_type(kind).name, "a fine day")


def smallest_request(operation: str) -> tuple[str, dict[str, Any]]:
    """That operation with the arguments that it needs."""
    root, _, name = operation.partition(".")
    arguments = schema.graphql_schema.type_map[root].fields[name].args
    given = {name: smallest(each.type) for name, each in arguments.items() if is_required_argument(each)}
    return document(operation, given), given


def shown_of(response: httpx.Response) -> tuple[int, str, bool]:
    """Status, code of the only error, and whether it came at once. What it says has nothing of the inside."""
    body = response.json()
    shown = body["error"] if "error" in body else body["errors"][0]
    assert not re.search(r"mysql|mariadb|127\.0\.0\.1|\(20\d\d", shown["message"], re.IGNORECASE)
    code = shown["code"] if "code" in shown else shown["extensions"]["code"]
    return response.status_code, code, response.elapsed.total_seconds() < AT_ONCE


def over_rest(client: Client) -> list[httpx.Response]:
    """The responses to the three operations over REST."""
    signed_in = {"Authorization": f"Bearer {client.token}"}
    return [
        client.log_in(),
        client.http.post("/auth/refresh", json={"refresh_token": client.session.refresh_token}),
        client.http.post("/auth/logout", json={}, headers=signed_in),
    ]


def test_without_the_database_every_operation_is_unavailable_at_once_and_afterwards_all_goes_on(
    on_mariadb: Client, own_mariadb: MariaDbServer
):
    client = on_mariadb
    with_token = {operation: smallest_request(operation) for operation in OPERATIONS}
    without_token = {
        "login": {"input": {"username": "ann", "password": PASSWORD}},
        "register": {"input": {"email": "bob@example.com", "password": PASSWORD}},
        "refreshToken": {"refreshToken": client.session.refresh_token},
    }

    executed = {}

    with stopped(own_mariadb):
        shown = {name: shown_of(client.post(query, **given)) for name, (query, given) in with_token.items()}
        for name, given in without_token.items():
            response = client.post(document(f"Mutation.{name}", given), is_signed_in=False, **given)
            executed[name] = shown_of(response)
        rest = [shown_of(response) for response in over_rest(client)]
        health = client.http.get("/health")

    assert {name: each for name, each in shown.items() if each != UNAVAILABLE_AT_ONCE} == {}
    assert executed == dict.fromkeys(without_token, (200, "UNAVAILABLE", True))
    assert rest == [UNAVAILABLE_AT_ONCE] * 3
    assert (health.status_code, health.json()["status"]) == (503, "down")

    assert client.ask("{ tasks { id } users { username } }") == {"tasks": [], "users": [{"username": "ann"}]}
    assert client.ask("query ($id: ID!) { task(id: $id) { status } }", id=client.create())
    assert [response.status_code for response in over_rest(client)] == [200, 200, 204]
    assert client.http.get("/health").json()["checks"]["database"]["status"] == "ok"
    assert "Traceback" not in client.server.process.output


@pytest.mark.long
def test_a_hanging_database_is_unavailability_within_seconds(on_mariadb: Client, own_mariadb: MariaDbServer):
    client = on_mariadb

    with hanging(own_mariadb):
        responses = [client.post("{ tasks { id } }"), client.post("{ queues { depth } }"), client.log_in()]

    assert [shown_of(response)[:2] for response in responses] == [(503, "UNAVAILABLE")] * 3
    assert all(response.elapsed.total_seconds() < A_FEW_SECONDS for response in responses)
    assert client.ask("{ tasks { id } }") == {"tasks": []}


def test_of_the_connections_that_an_absence_cut_one_request_finds_out_for_all(
    on_mariadb: Client, own_mariadb: MariaDbServer
):
    client = on_mariadb

    def ask_all_threads() -> list[int]:
        with ThreadPoolExecutor(THREADS) as threads:
            many = [threads.submit(client.post, "{ tasks { id } }") for _ in range(40)]
            return [each.result().status_code for each in many]

    assert set(ask_all_threads()) == {200}
    with stopped(own_mariadb):
        assert shown_of(client.post("{ tasks { id } }")) == UNAVAILABLE_AT_ONCE

    assert ask_all_threads() == [200] * 40


def test_sockets_live_through_an_absence_of_the_database(on_mariadb: Client, own_mariadb: MariaDbServer):
    client = on_mariadb
    task_id = client.create()
    with signed_in(client.server.socket_url, client.token) as socket:
        followed = socket.follow(FOLLOW, id=task_id)

        with stopped(own_mariadb):
            refused = socket.refusal(socket.start("{ tasks { id } }"))
            with open_socket(client.server.socket_url) as newcomer:
                newcomer.send({"type": "connection_init", "payload": {"token": client.token}})
                code = newcomer.close_code()
        client.ask("mutation ($id: ID!) { cancelTask(id: $id) { id } }", id=task_id)

        assert [error["extensions"]["code"] for error in refused] == ["UNAVAILABLE"]
        assert code == CloseCode.UNAVAILABLE
        assert socket.until(followed, "taskUpdated", "CANCELLED", RECOVERY)
        assert socket.ask("{ tasks { id } }") == {"tasks": [{"id": task_id}]}
