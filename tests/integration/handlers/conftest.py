"""A context for handlers that are called directly, and a web server whose answers a test writes."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from tasks import TaskContext
from tests.support import handlers
from tests.support.handlers import RecordingSink


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def make_context(sink: RecordingSink) -> Callable[..., TaskContext]:
    """`tests.support.handlers.make_context` over the fixture `sink`."""
    return functools.partial(handlers.make_context, sink)


@pytest.fixture
def call(settings: Settings, make_context: Callable[..., TaskContext]) -> Callable[..., Any]:
    """Runs `http-request`, private addresses allowed."""
    from tasks.handlers import http_request

    settings.DTQ_TASKS = dataclasses.replace(settings.DTQ_TASKS, allow_private_addresses=True)
    return lambda url, **arguments: http_request(make_context(), url=url, **arguments)


@dataclass
class Seen:
    """A request that reached the server; its header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """A server on this machine. `answers` maps a path to what happens there; the default is an empty 200."""

    url: str
    port: int
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    def answer(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer requests to `path` like this; underscores in header names become dashes."""

        def write(exchange: BaseHTTPRequestHandler) -> None:
            exchange.send_response(status)
            for name, value in headers.items():
                exchange.send_header(name.replace("_", "-"), value)
            exchange.send_header("Content-Length", str(len(body)))
            exchange.end_headers()
            exchange.wfile.write(body)

        self.answers[path] = write


def serve(tls: Any = None) -> Iterator[WebServer]:
    """Run a web server on 127.0.0.1 until the generator ends."""
    web: WebServer

    class Exchange(BaseHTTPRequestHandler):
        def do_ANY(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            web.seen.append(Seen(self.command, self.path, headers, body))
            path = self.path.partition("?")[0]
            if path not in web.answers:
                web.answer(path, 200)
            try:
                web.answers[path](self)
            except OSError:
                self.close_connection = True  # the client had enough

        do_GET = do_POST = do_PUT = do_DELETE = do_ANY

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    web = WebServer(f"http://127.0.0.1:{port}", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def web() -> Iterator[WebServer]:
    yield from serve()


@pytest.fixture
def other_web() -> Iterator[WebServer]:
    yield from serve()
