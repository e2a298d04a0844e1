"""What a script has asked for while the server was away, in a folder that it may share with workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.workers.making import (
    MEGABYTE,
    creation,
    files_in,
    in_a_process_that_is_killed,
    lease,
    make_folder,
    outcome,
)
from workers.client import Client
from workers.transports.graphql_client import ServerRefused


class Server:
    """Creates what it is asked for, unless that is too large."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.requests = 0

    def ask(self, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
        if len(str(said).encode()) > MEGABYTE:
            raise ServerRefused("PAYLOAD_TOO_LARGE", "too much")
        self.requests += 1
        self.created += [each["idempotencyKey"] for each in said["inputs"]]
        return {"createTasks": [{"id": each["idempotencyKey"], "status": "QUEUED"} for each in said["inputs"]]}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(path: Path, server: Server) -> Client:
    made = Client("http://127.0.0.1:1/graphql", "token", store=path)
    made._graphql = server
    return made


def test_what_a_script_has_left_is_created_and_what_a_worker_has_left_stays(client, server, path):
    def left() -> None:
        first, second, third = (make_folder(path)[0].new_store() for _ in range(3))
        first.keep([outcome(1)], [])
        first.request([replace(creation("a"), parent=None)])
        second.request([creation("of a worker")])
        third.request([replace(creation("b"), parent=None)])

    in_a_process_that_is_killed(left)

    for _ in range(2):
        assert client.deliver()

    assert server.created == ["a", "b"]
    assert files_in(path) == ["outbox-0.sqlite3", "outbox-1.sqlite3"]
    folder, _ = make_folder(path)
    first, second = folder.inherit(), folder.inherit()
    assert [each.lease for each in first.outcomes(10)] == [lease(1)]
    assert [each.key for each in second.creations(10)] == ["of a worker"]


def test_a_file_with_a_row_that_cannot_be_read_is_set_aside_once(client, server, path):
    def left() -> None:
        store = make_folder(path)[0].new_store()
        store.request([replace(creation("a"), parent=None)])
        store._connection.execute("UPDATE creation SET request = 'no JSON'")

    in_a_process_that_is_killed(left)

    for _ in range(2):
        assert client.deliver()

    assert (server.created, files_in(path)) == ([], [])
    assert (path / "outbox-0.sqlite3.damaged-1").exists()


def test_what_waits_goes_in_requests_of_a_size_that_proxies_take(client, server, path):
    large = [replace(creation(f"{number}", text="ü" * 10_000), parent=None) for number in range(60)]
    in_a_process_that_is_killed(lambda: make_folder(path, 16 * MEGABYTE)[0].new_store().request(large[:50]))
    in_a_process_that_is_killed(lambda: make_folder(path, 16 * MEGABYTE)[0].new_store().request(large[50:]))

    assert client.deliver()

    assert server.created == [f"{number}" for number in range(60)]
    assert (server.requests, client.refused) == (3, [])
