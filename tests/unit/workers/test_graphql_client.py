"""Every answer of a server, and every lack of one, says whether asking again makes sense."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.servers import free_port
from tests.support.waiting import eventually
from workers.transports.base import Unreachable
from workers.transports.graphql_client import GraphQLClient, NotDone, ServerRefused, TokenRefused


class Scripted(ThreadingHTTPServer):
    """Answers what it is told to, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, b'{"data": {"answer": 42}}'
        self.asked: list[dict] = []
        self.tokens: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/graphql"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have gone away are what these tests are about."""

    def errs(self, status: int, **extensions: str) -> None:
        self.status = status
        self.body = json.dumps({"errors": [{"message": "no", "extensions": extensions}]}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.server.tokens.append(self.headers["Authorization"])
        self.server.gate.wait(10)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server: Scripted) -> Iterator[GraphQLClient]:
    client = GraphQLClient(server.url, lambda: "secret", answer_seconds=0.5)
    yield client
    client.close()


def test_an_answer_is_its_data_and_the_token_went_along(server, client):
    assert client.ask("task", {"id": "1"}) == {"answer": 42}

    assert server.tokens == ["Bearer secret"]
    assert server.asked[0]["variables"] == {"id": "1"}
    assert server.asked[0]["query"].startswith("query Task(")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "UNAUTHENTICATED", TokenRefused),
        (200, "UNAUTHENTICATED", TokenRefused),
        (503, "UNAVAILABLE", Unreachable),
        (429, "RATE_LIMITED", Unreachable),
        (200, "INTERNAL", Unreachable),
        (200, "BAD_USER_INPUT", ServerRefused),
        (403, "FORBIDDEN", ServerRefused),
        (413, "PAYLOAD_TOO_LARGE", ServerRefused),
    ],
)
def test_a_refusal_says_by_its_type_whether_to_ask_again(server, client, status, code, error):
    server.errs(status, code=code, field="limit")

    with pytest.raises(error) as raised:
        client.ask("task", {"id": "1"})

    assert type(raised.value) is error
    if error is ServerRefused:
        assert (raised.value.code, raised.value.field, raised.value.message) == (code, "limit", "no")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", "geheim\u00fc".encode()])
def test_a_token_that_cannot_be_read_for_a_moment_is_read_again(server, tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    client = GraphQLClient(server.url, path.read_text)

    with pytest.raises(TokenRefused, match="cannot be read"):
        client.ask("task", {"id": "1"})
    assert server.asked == []
    path.write_text("secret")

    assert client.ask("task", {"id": "1"}) == {"answer": 42}
    assert server.tokens == ["Bearer secret"]


def test_what_a_proxy_takes_for_too_large_is_refused(server, client):
    server.status, server.body = 413, b"<html>413 Request Entity Too Large</html>"

    with pytest.raises(ServerRefused) as refusal:
        client.ask("task", {"id": "1"})

    assert refusal.value.code == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize(
    ("status", "body"),
    [(502, b"<html>bad gateway</html>"), (404, b"not here"), (200, b"[]"), (200, b'{"data": null}'), (200, b'{"da')],
)
def test_what_is_no_graphql_is_no_answer(server, client, status, body):
    server.status, server.body = status, body

    with pytest.raises(Unreachable, match=f"answered {status}"):
        client.ask("task", {"id": "1"})


def test_nobody_there_is_unreachable_and_has_done_nothing():
    client = GraphQLClient(f"http://127.0.0.1:{free_port()}/graphql", lambda: "secret")

    with pytest.raises(NotDone, match="ConnectError"):
        client.ask("task", {"id": "1"})


def test_an_answer_that_does_not_come_is_unreachable_after_its_time(server, client):
    server.gate.clear()

    with pytest.raises(Unreachable, match="ReadTimeout") as raised:
        client.ask("task", {"id": "1"})
    assert not isinstance(raised.value, NotDone)


def test_a_wait_is_ended_from_another_thread_and_the_client_goes_on(server, client):
    server.gate.clear()
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            client.ask("task", {"id": "1"}, waits_seconds=30)
        except Unreachable as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: server.asked)
    client.interrupt()
    thread.join(5)

    assert len(ended) == 1 and not thread.is_alive()
    server.gate.set()
    assert client.ask("task", {"id": "2"}) == {"answer": 42}
