"""A real server, and clients of its WebSocket. What tests commit here, the server reads."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.conftest import Servers
from tests.support.graphql_socket import GraphQLSocketClient, signed_in
from tests.support.processes import Process, Processes
from tests.support.servers import free_port


class LiveServer:
    """A server process and where it is."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.http_url = f"http://127.0.0.1:{port}"
        self.socket_url = f"ws://127.0.0.1:{port}/graphql"

    def gauge(self, name: str) -> float:
        """The value of a metric without labels."""
        (line,) = [
            line for line in httpx.get(f"{self.http_url}/metrics").text.splitlines() if line.startswith(f"{name} ")
        ]
        return float(line.split()[1])


def _started(processes: Processes, **variables: str) -> LiveServer:
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "dtq_site.asgi:application"]
    server = LiveServer(processes.start(command, DJANGO_SETTINGS_MODULE="dtq_site.settings", **variables), port)
    with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=30) as client:
        client.get(f"{server.http_url}/health/live").raise_for_status()
    return server


@pytest.fixture
def start_server(committed_db: None, processes: Processes) -> Callable[..., LiveServer]:
    """Starts servers of the test's own, with variables of their own."""
    return functools.partial(_started, processes)


@pytest.fixture(scope="session")
def common_server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server with the defaults for many tests."""
    started = Processes(servers.environment, tmp_path_factory.mktemp("live"))
    yield _started(started)
    started.clear_away()


@pytest.fixture
def server(committed_db: None, common_server: LiveServer) -> LiveServer:
    """The common server, and a database that this test may commit to."""
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
    return common_server


@pytest.fixture
def connect(server: LiveServer) -> Iterator[Callable[[str], GraphQLSocketClient]]:
    """Opens acknowledged connections to the server, closed at the end."""
    with ExitStack() as opened:
        yield lambda token: opened.enter_context(signed_in(server.socket_url, token))
