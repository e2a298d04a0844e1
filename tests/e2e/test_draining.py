"""An API process that is told to end answers what it was asked; only then, or when its time is up, it closes."""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx
import pytest

from accounts.roles import Role
from dtq_site.serving import DRAIN_SECONDS
from tasks import lifecycle
from tests.integration.accounts.making import make_user, sign_in
from tests.support.factories import START, make_team, new_task
from tests.support.graphql_socket import signed_in
from tests.support.live_server import LiveServer, start_live_server
from tests.support.processes import Processes
from tests.support.waiting import eventually
from tests.support.worker_client import WorkerClient, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")


@pytest.fixture
def server(processes: Processes) -> LiveServer:
    return start_live_server(processes)


@pytest.fixture
def token() -> str:
    make_user(team=make_team("red"), role=Role.ADMIN)
    return sign_in().access_token


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """A question by a connection of its own, of which so many bytes are kept back at first."""

    def __init__(self, server: LiveServer, token: str, query: str, *, kept_back: int = 0) -> None:
        body = json.dumps({"query": query}).encode()
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.putrequest("POST", "/graphql")
        for name, value in {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Expect": "100-continue",
        }.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        assert self.connection.sock.recv(len(_CONTINUE)) == _CONTINUE  # its head has been read
        sent, self._rest = body[: len(body) - kept_back], body[len(body) - kept_back :]
        self.connection.send(sent)

    def finish(self) -> None:
        self.connection.send(self._rest)


def tell_to_end(server: LiveServer) -> None:
    """Send SIGTERM, and wait until it takes no connection any more."""

    def refuses() -> bool:
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    server.process.signal(signal.SIGTERM)
    eventually(refuses)


def test_what_was_asked_is_answered_and_the_connection_is_not_kept(server: LiveServer, token: str):
    idle = httpx.Client(base_url=server.http_url)
    idle.get("/health/live").raise_for_status()
    request = Request(server, token, "{ me { username } }", kept_back=5)

    tell_to_end(server)
    assert server.process.running
    request.finish()

    answer = request.connection.getresponse()
    assert answer.status == 200
    assert json.load(answer) == {"data": {"me": {"username": "ann"}}}
    assert answer.getheader("Connection") == "close"
    assert server.process.wait(DRAIN_SECONDS / 2) == 0  # a connection on which nothing is asked does not hold it up
    assert "Traceback" not in server.process.output


def test_an_answer_that_is_read_slowly_is_sent_to_its_end(server: LiveServer, token: str):
    payload = {"text": "x" * 250_000}
    lifecycle.create([new_task(team=make_team("red"), payload=payload) for _ in range(60)], START)
    request = Request(server, token, "{ tasks(limit: 60) { payload } }")
    answer = request.connection.getresponse()
    assert answer.status == 200

    tell_to_end(server)
    time.sleep(0.5)
    assert server.process.running

    assert [task["payload"] for task in json.load(answer)["data"]["tasks"]] == [payload] * 60
    assert server.process.wait(DRAIN_SECONDS / 2) == 0


def test_a_claim_that_waits_is_answered_at_once(server: LiveServer, token: str):
    with httpx.Client(base_url=server.http_url, timeout=60) as client, ThreadPoolExecutor(1) as threads:
        worker = WorkerClient(over_http(client, token), "send-email")
        claim = threads.submit(worker.claim, waitSeconds=50)
        eventually(lambda: server.gauge("dtq_claims_waiting") == 1)

        server.process.signal(signal.SIGTERM)

        assert claim.result(DRAIN_SECONDS / 2) == []
    assert server.process.wait(DRAIN_SECONDS / 2) == 0


def test_a_subscription_does_not_hold_it_up(server: LiveServer, token: str):
    with signed_in(server.socket_url, token) as client:
        client.follow("subscription { taskCreated { id } }")

        server.process.signal(signal.SIGTERM)

        assert server.process.wait(DRAIN_SECONDS / 2) == 0
        assert client.close_code() == 1006  # Daphne ends without a word
    assert "Traceback" not in server.process.output


@pytest.mark.long
def test_who_never_finishes_asking_is_cut_off(server: LiveServer, token: str):
    request = Request(server, token, "{ me { username } }", kept_back=5)

    server.process.signal(signal.SIGTERM)

    assert server.process.wait(DRAIN_SECONDS + 10) == 0
    with pytest.raises(ConnectionError):
        request.connection.getresponse()
