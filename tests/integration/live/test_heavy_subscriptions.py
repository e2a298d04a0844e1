"""An account whose subscriptions are heavy: it keeps nobody else waiting, and fills no memory."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from accounts.roles import Role
from tasks import audit
from tasks.audit import LogLine
from tests.integration.graphql.making import make_task, start
from tests.integration.live.conftest import LiveServer
from tests.integration.live.test_following import token_of
from tests.support.graphql_socket import GraphQLSocketClient, open_socket, signed_in
from tests.support.waiting import eventually

LARGE = " ".join(f"a{n}: payload" for n in range(100))
PAYLOAD = {"text": "x" * 250_000}
MEGABYTE = 1_000_000


def peak_bytes(server: LiveServer) -> int:
    """How much memory the process has had at most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextmanager
def heavy_followers(
    server: LiveServer, token: str, count: int, field: str = f"taskCreated {{ {LARGE} }}"
) -> Iterator[list[GraphQLSocketClient]]:
    """Sockets with one subscription each, of which no two have the same text; an event has 25 MB if nothing else is said."""
    with ExitStack() as opened:
        clients = []
        for number in range(count):
            client = opened.enter_context(open_socket(server.socket_url, max_size=None))
            client.introduce(token)
            client.follow(f"subscription S{number} {{ {field} }}")
            clients.append(client)
        yield clients


def read_all(clients: list[GraphQLSocketClient]) -> tuple[list[int], list[str]]:
    """Read whatever comes, as fast as it comes, until the sockets are closed; returns who has been shown something, by number,
    and the codes of errors, lists that grow."""
    shown: list[int] = []
    codes: list[str] = []

    def read(number: int, client: GraphQLSocketClient) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                message = client.receive(60.0)
                if message["type"] == "error":
                    codes.append(message["payload"][0]["extensions"]["code"])
                else:
                    shown.append(number)

    for number, client in enumerate(clients):
        threading.Thread(target=read, args=(number, client), daemon=True).start()
    return shown, codes


def test_what_others_follow_is_shown_at_once_while_much_is_made_for_one_account(
    start_server: Callable[..., LiveServer],
):
    server = start_server()
    viewer, user = token_of("vic", role=Role.VIEWER), token_of("ann")
    with heavy_followers(server, viewer, 40) as heavy, signed_in(server.socket_url, user) as light:
        followed = light.follow("subscription { taskCreated { id } }")
        read_all(heavy)

        waited = []
        for _ in range(3):
            task = make_task("red", payload=PAYLOAD)
            began = time.monotonic()
            assert light.next(followed, 60.0) == {"taskCreated": {"id": str(task.pk)}}
            waited.append(time.monotonic() - began)

        assert max(waited) < 3.0, waited


def test_events_that_nobody_reads_do_not_pile_up(start_server: Callable[..., LiveServer]):
    server = start_server()
    viewer, user = token_of("vic", role=Role.VIEWER), token_of("ann")
    with heavy_followers(server, viewer, 40), signed_in(server.socket_url, user) as light:
        followed = light.follow("subscription { taskCreated { id } }")
        before = peak_bytes(server)

        make_task("red", payload=PAYLOAD)
        light.next(followed, 60.0)
        for _ in range(3):
            make_task("red")
            light.next(followed, 60.0)

        assert peak_bytes(server) - before < 400 * MEGABYTE


@pytest.mark.long
def test_subscriptions_to_which_more_happens_than_can_be_shown_are_told_so_and_end(
    start_server: Callable[..., LiveServer],
):
    server = start_server()
    task = make_task("red")
    lines = [LogLine(task.pk, 1, number, 1, "info", "x") for number in range(1000)]
    audit.record_lines(lines, task.created_at)
    logs = " ".join(f"l{n}: logs {{ message level attempt createdAt }}" for n in range(30))  # takes about a second

    with heavy_followers(server, token_of("vic", role=Role.VIEWER), 40, f"taskStatusChanged {{ {logs} }}") as heavy:
        shown, codes = read_all(heavy)
        start(task)

        eventually(lambda: len(shown) + len(codes) == 40, 90.0)
        assert len(shown) > 0 and set(codes) == {"QUERY_TOO_COMPLEX"}
        assert server.gauge("dtq_subscriptions_open") == len(shown)
