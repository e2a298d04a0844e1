"""`manage.py serve`: several API processes behind one port, which share their work and are replaced when they die."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from accounts.roles import Role
from dtq_site.serving import GRACE_SECONDS
from tests.e2e.api_client import CREATE
from tests.integration.accounts.making import make_user, sign_in
from tests.support.factories import make_team
from tests.support.graphql_socket import GraphQLSocketClient, signed_in
from tests.support.live_server import LiveServer
from tests.support.processes import Processes
from tests.support.servers import free_port
from tests.support.waiting import eventually
from tests.support.worker_client import WorkerClient, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

Serve = Callable[..., LiveServer]
FOLLOW = "subscription { taskCreated { id } }"


@pytest.fixture
def serve(processes: Processes) -> Serve:
    """Start it with so many processes, and wait until every one answers."""

    def start(count: int) -> LiveServer:
        port = free_port()
        server = LiveServer(processes.manage("serve", "--port", str(port), DTQ_API_PROCESSES=str(count)), port)
        eventually(lambda: len(pids(server)) == count, 30)
        for slot in pids(server):
            with only(server, slot):
                assert answers(server)
        return server

    return start


def pids(server: LiveServer) -> dict[int, int]:
    """The process that was started last in each slot."""
    started = re.findall(r"server\.started +slot=(\d+) pid=(\d+)", server.process.output)
    return {int(slot): int(pid) for slot, pid in started}


@contextmanager
def only(server: LiveServer, slot: int) -> Iterator[None]:
    """Have that process take every connection that is made meanwhile: all others stand still."""
    others = [pid for number, pid in pids(server).items() if number != slot]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def answers(server: LiveServer) -> bool:
    """Whether some process answers, in the time that one takes to start."""
    return httpx.get(f"{server.http_url}/health/live", timeout=60).status_code == 200


@contextmanager
def http_to(server: LiveServer, slot: int) -> Iterator[httpx.Client]:
    """A client with one connection, to that process."""
    limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
    with httpx.Client(base_url=server.http_url, limits=limits, timeout=60) as client:
        with only(server, slot):
            client.get("/health/live").raise_for_status()
        yield client


@contextmanager
def socket_to(server: LiveServer, slot: int, token: str) -> Iterator[GraphQLSocketClient]:
    """A WebSocket to that process."""
    with ExitStack() as stack:
        with only(server, slot):
            client = stack.enter_context(signed_in(server.socket_url, token))
        yield client


def gauge(client: httpx.Client, name: str) -> float:
    """The value of a metric, as the process of that connection says."""
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def admin_token() -> str:
    make_user(team=make_team("red"), role=Role.ADMIN)
    return sign_in().access_token


def create(client: GraphQLSocketClient) -> str:
    return client.ask(CREATE, input={"name": "send-email"})["createTask"]["id"]


# --- several are one -----------------------------------------------------------------------------------------------


def test_a_subscriber_of_one_process_sees_what_the_other_creates(serve: Serve):
    server, token = serve(2), admin_token()
    with socket_to(server, 1, token) as first, socket_to(server, 2, token) as second:
        on_first, on_second = first.follow(FOLLOW), second.follow(FOLLOW)

        created = [create(second), create(first)]

        assert [first.next(on_first)["taskCreated"]["id"] for _ in created] == created
        assert [second.next(on_second)["taskCreated"]["id"] for _ in created] == created
    assert pids(server)[1] != pids(server)[2]


def test_a_claim_that_waits_in_one_process_is_answered_when_the_other_creates_a_task(serve: Serve):
    server, token = serve(2), admin_token()
    with (
        http_to(server, 1) as asking,
        http_to(server, 1) as beside,
        http_to(server, 2) as elsewhere,
        socket_to(server, 2, token) as creator,
        ThreadPoolExecutor(1) as threads,
    ):
        worker = WorkerClient(over_http(asking, token), "send-email")
        claim = threads.submit(worker.claim, waitSeconds=30)
        eventually(lambda: gauge(beside, "dtq_claims_waiting") == 1)
        assert gauge(elsewhere, "dtq_claims_waiting") == 0  # it says what waits in this process

        task_id = create(creator)

        assert [leased["taskId"] for leased in claim.result(10)] == [task_id]


# --- one of them dies ----------------------------------------------------------------------------------------------


def test_kill_9_of_one_process_is_healed_while_the_other_goes_on(serve: Serve):
    server, token = serve(2), admin_token()
    before = pids(server)
    with socket_to(server, 2, token) as client:
        subscription = client.follow(FOLLOW)

        os.kill(before[1], signal.SIGKILL)

        task_id = create(client)
        assert client.next(subscription)["taskCreated"]["id"] == task_id
        assert answers(server)
        server.process.wait_for(rf"server\.died .*pid={before[1]} exit_code=-9")
        eventually(lambda: pids(server)[1] != before[1])
        assert pids(server)[2] == before[2]
        with only(server, 1):
            assert answers(server)
        assert client.ask("{ me { username } }") == {"me": {"username": "ann"}}


@pytest.mark.long
def test_the_pause_grows_while_a_process_keeps_dying(processes: Processes):
    port = free_port()
    server = LiveServer(processes.manage("serve", "--port", str(port), "--processes", "1"), port)

    for deaths in (1, 2, 3):
        server.process.wait_for(rf"(?s)(server\.started.*?pid=\d+.*?){{{deaths}}}")
        pid = pids(server)[1]
        os.kill(pid, signal.SIGKILL)
        server.process.wait_for(rf"server\.died .*pid={pid} ")

    pauses = [float(pause) for pause in re.findall(r"replaced_in_seconds=([\d.]+)", server.process.output)]
    assert 0.25 <= pauses[0] <= 0.3 and 0.5 <= pauses[1] <= 0.6 and 1.0 <= pauses[2] <= 1.2
    assert answers(server)  # the connection waits for the next one


# --- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order(serve: Serve, number: signal.Signals):
    server, token = serve(2), admin_token()
    with socket_to(server, 1, token) as client:
        client.follow(FOLLOW)

        server.process.signal(number)

        assert server.process.wait() == 0
        assert client.close_code() == 1006  # Daphne ends without a word
    assert server.process.members() == []
    assert "server.died" not in server.process.output and "servers.killed" not in server.process.output
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_a_second_signal_kills_what_does_not_end(serve: Serve):
    server = serve(2)
    stuck, other = pids(server).values()
    os.kill(stuck, signal.SIGSTOP)
    server.process.signal(signal.SIGTERM)
    eventually(lambda: not psutil.pid_exists(other), 20)
    assert server.process.running

    server.process.signal(signal.SIGTERM)

    assert server.process.wait(8) == 1  # long before their time is up
    assert re.search(rf"servers\.killed +pids=\[{stuck}\]", server.process.output)
    assert server.process.members() == []


@pytest.mark.long
def test_what_does_not_end_in_its_time_is_killed(serve: Serve):
    server = serve(1)
    (stuck,) = pids(server).values()
    os.kill(stuck, signal.SIGSTOP)

    server.process.signal(signal.SIGTERM)

    assert server.process.wait(GRACE_SECONDS + 10) == 1
    assert re.search(rf"servers\.killed +pids=\[{stuck}\]", server.process.output)
    assert server.process.members() == []


def test_kill_9_of_the_parent_leaves_no_process(serve: Serve):
    server = serve(2)

    server.process.kill()

    eventually(lambda: server.process.members() == [])


# --- refusals ------------------------------------------------------------------------------------------------------


def test_a_used_port_is_one_line_and_nothing_is_started(processes: Processes):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        refused = processes.manage("serve", "--port", str(port))

        assert refused.wait() == 1
    assert re.fullmatch(
        r"CommandError: The API cannot listen: Address already in use .* with --host or --port\.\n", refused.output
    )


@pytest.mark.parametrize(
    ("option", "value", "most"), [("--processes", "0", 200), ("--processes", "201", 200), ("--port", "65536", 65535)]
)
def test_a_number_out_of_bounds_is_one_line_and_nothing_is_started(
    processes: Processes, option: str, value: str, most: int
):
    refused = processes.manage("serve", option, value)

    assert refused.wait() == 1
    assert refused.output == f"CommandError: {option} must be from 1 to {most}, not {value}.\n"
