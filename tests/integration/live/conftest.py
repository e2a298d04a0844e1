"""A real server, and clients of its WebSocket. What tests commit here, the server reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Servers
from tests.support.graphql_socket import GraphQLSocketClient, signed_in
from tests.support.live_server import LiveServer, start_live_server
from tests.support.processes import Processes


@pytest.fixture
def start_server(committed_db: None, processes: Processes) -> Callable[..., LiveServer]:
    """Starts servers of the test's own, with variables of their own."""
    return functools.partial(start_live_server, processes)


@pytest.fixture(scope="session")
def common_server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server with the defaults for many tests."""
    started = Processes(servers.environment, tmp_path_factory.mktemp("live"))
    yield start_live_server(started)
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
