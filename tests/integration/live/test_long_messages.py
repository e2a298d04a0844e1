"""Messages over the WebSocket that are longer than Daphne would let pass: the server's are sent, a client's are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable

import httpx
import pytest

from tasks import audit
from tasks.audit import LogLine
from tests.integration.graphql.making import finish, make_task
from tests.integration.live.conftest import LiveServer
from tests.integration.live.test_conversation import token_of
from tests.support.graphql_socket import GraphQLSocketClient, open_socket
from tests.support.processes import Processes
from tests.support.servers import free_port

MEBIBYTE = 1024 * 1024
TEXT = "x" * 250_000
LARGE = " ".join(f"a{n}: payload" for n in range(21))


@pytest.fixture
def development_server(committed_db: None, processes: Processes) -> LiveServer:
    """`manage.py runserver`."""
    port = free_port()
    server = LiveServer(processes.manage("runserver", str(port), "--noreload"), port)
    with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=30) as client:
        client.get(f"{server.http_url}/health/live").raise_for_status()
    return server


def answer_and_event_of_five_megabytes(client: GraphQLSocketClient) -> None:
    """Ask for a task and follow it, so that each message has more than 5 MiB; the socket outlives it."""
    task = make_task("red", payload={"text": TEXT})

    answer = client.ask(f"query ($id: ID!) {{ task(id: $id) {{ {LARGE} }} }}", id=str(task.pk))
    followed = client.start(
        f"subscription ($id: ID!) {{ taskUpdated(id: $id, since: 0) {{ {LARGE} }} }}", id=str(task.pk)
    )
    event = client.next(followed)

    assert answer["task"] == event["taskUpdated"] == {f"a{n}": {"text": TEXT} for n in range(21)}
    assert client.ask("{ me { username } }") == {"me": {"username": "ann"}}


@pytest.mark.parametrize("kind", ["server", "development_server"])
def test_an_answer_and_an_event_of_five_megabytes_arrive(request: pytest.FixtureRequest, kind: str):
    server: LiveServer = request.getfixturevalue(kind)
    with open_socket(server.socket_url, max_size=None) as client:
        client.introduce(token_of())

        answer_and_event_of_five_megabytes(client)


def test_the_log_of_a_task_that_wrote_much_is_shown(server: LiveServer):
    task = finish(make_task("red"))
    lines = [LogLine(task.pk, 1, number, 1, "info", "x" * 1200) for number in range(1000)]
    audit.record_lines(lines, task.created_at)

    with open_socket(server.socket_url, max_size=None) as client:
        client.introduce(token_of())
        answer = client.ask("query ($id: ID!) { task(id: $id) { logs { message } } }", id=str(task.pk))

    assert [len(line["message"]) for line in answer["task"]["logs"]] == [1200] * 1000


def frame_head(length: int, *, opcode: int = 1, last: bool = True) -> bytes:
    """The first bytes of a client's frame of so many bytes; its mask leaves them as they are."""
    return struct.pack("!BBQ4x", opcode | (0x80 if last else 0), 0x80 | 127, length)


@pytest.mark.parametrize(
    "pieces",
    [
        [frame_head(MEBIBYTE + 1)],
        [frame_head(MEBIBYTE, last=False), b" " * MEBIBYTE, frame_head(65_536, opcode=0)],
    ],
    ids=["in one frame", "in several"],
)
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_message_that_says_that_it_is_too_long_is_refused_before_it_has_been_sent(
    server: LiveServer, pieces: list[bytes], signed_in: bool
):
    with open_socket(server.socket_url, max_size=None) as client:
        if signed_in:
            client.introduce(token_of())
            answer_and_event_of_five_megabytes(client)

        for piece in pieces:
            client.connection.socket.sendall(piece)

        assert client.close_code() == 1006  # the connection is dropped


def test_a_message_as_long_as_it_may_be_is_taken(server: LiveServer, connect: Callable[[str], GraphQLSocketClient]):
    client = connect(token_of())

    client.send('{"type": "ping"}'.ljust(MEBIBYTE))
    assert client.receive() == {"type": "pong"}

    client.send('{"type": "ping"}'.ljust(MEBIBYTE + 1))
    assert client.close_code() in (4400, 1006)
