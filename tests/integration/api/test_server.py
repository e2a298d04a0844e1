"""The endpoint in a real server process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.integration.accounts.making import make_user, sign_in
from tests.support.processes import Processes
from tests.support.servers import free_port

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def server(processes: Processes) -> Iterator[httpx.Client]:
    """A client of a server that runs."""
    port = free_port()
    process = processes.start(
        [sys.executable, "-m", "dtq_site.server", "-p", str(port), "dtq_site.asgi:application"],
        DJANGO_SETTINGS_MODULE="dtq_site.settings",
        DTQ_API_THREADS="2",
    )
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=20), timeout=30
    ) as client:
        yield client
    assert process.running


def test_many_clients_at_once_are_answered_by_two_threads(server: httpx.Client):
    make_user("ann")
    headers = {"Authorization": f"Bearer {sign_in('ann').access_token}"}

    def ask(number: int) -> dict:
        query = {
            "query": "query ($n: Boolean!) { me { username @include(if: $n) id } }",
            "variables": {"n": number % 2 == 0},
        }
        return server.post("/graphql", json=query, headers=headers).json()

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, range(64)))

    assert [answer["errors"] for answer in answers if "errors" in answer] == []
    assert [answer["data"]["me"].get("username") for answer in answers] == ["ann", None] * 32


def test_a_body_of_unknown_length_is_limited_too(server: httpx.Client):
    def pieces() -> Iterator[bytes]:
        yield b'{"query": "{ __typename }"'
        for _ in range(5):
            yield b" " * 1024 * 1024
        yield b"}"

    response = server.post("/graphql", content=pieces(), headers={"Content-Type": "application/json"})

    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"] == {"code": "PAYLOAD_TOO_LARGE"}


@pytest.mark.parametrize("path", ["/graphql", "/auth/login"])
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "text/plain"])
def test_a_form_that_nobody_can_read_is_refused_like_any_other_body(server: httpx.Client, path: str, kind: str):
    response = server.post(path, content=b"--x no form", headers={"Content-Type": kind})

    assert response.status_code == 415
    assert response.json() == server.post(path, content=b"{}", headers={"Content-Type": "text/plain"}).json()
    assert "UNSUPPORTED_MEDIA_TYPE" in response.text


def test_a_refused_request_has_one_line_in_the_log(processes: Processes):
    port = free_port()
    process = processes.manage("runserver", str(port), "--noreload")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=20)) as client:
        assert client.get("/nowhere").status_code == 404
        assert client.get("/graphql").status_code == 400

    process.wait_for("/graphql")
    assert [process.output.count(path) for path in ("/nowhere", "/graphql")] == [1, 1]


def test_the_files_of_the_console_are_served(server: httpx.Client):
    for name in ("console.js", "console.css", "graphiql/graphiql.min.js", "graphiql/graphiql.min.css", "icon.svg"):
        assert server.get(f"/static/dtq/{name}").status_code == 200


@pytest.mark.parametrize("path", ["/graphql", "/auth/login", "/nowhere"])
@pytest.mark.parametrize("length", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
def test_a_body_without_end_is_cut_off_and_fills_no_memory(server: httpx.Client, path: str, length: str):
    address = (server.base_url.host, server.base_url.port)
    piece = b" " * 1_000_000
    if "chunked" in length:
        piece = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    sent = 0
    assert server.get("/health/live").status_code == 200

    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head.encode())
        with suppress(ConnectionError):
            while sent < 200:
                client.sendall(piece)
                sent += 1

    assert sent < 50
    assert server.post("/graphql", json={"query": "{ __typename }"}).json() == {"data": {"__typename": "Query"}}
