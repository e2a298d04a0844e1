"""Servers of the API while Redis is away, or hangs, and what several of them share in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dtq_site.api.rate_limits import MOST_UNASKED
from dtq_site.foundation.clock import elapsed_clock
from tests.e2e.api_client import AT_ONCE, FOLLOW, RECOVERY, Client
from tests.support.graphql_socket import signed_in
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

needs_redis_server = pytest.mark.skipif(
    RedisServer.program is None, reason="this needs the Debian package redis-server"
)


def lead_a_task_through_its_life(client: Client) -> None:
    """Create, change, cancel, retry and look at tasks, and hold their queue: each must work, and quickly."""
    task_id = client.create(queue="mail")
    by_id = "mutation ($id: ID!) {{ answer: {}(id: $id) {{ status }} }}"
    by_name = "mutation ($name: String!) {{ answer: {}(name: $name) {{ paused depth }} }}"
    change = "mutation ($id: ID!, $input: UpdateTaskInput!) { updateTask(id: $id, input: $input) { priority } }"

    assert client.ask(change, id=task_id, input={"priority": 20}) == {"updateTask": {"priority": 20}}
    assert client.ask(by_name.format("pauseQueue"), name="mail") == {"answer": {"paused": True, "depth": 1}}
    assert client.ask(by_name.format("resumeQueue"), name="mail") == {"answer": {"paused": False, "depth": 1}}
    assert client.ask(by_id.format("cancelTask"), id=task_id) == {"answer": {"status": "CANCELLED"}}
    assert client.ask(by_id.format("retryTask"), id=task_id) == {"answer": {"status": "QUEUED"}}
    assert client.ask("query ($id: ID!) { task(id: $id) { status } }", id=task_id) == {"task": {"status": "QUEUED"}}
    assert client.ask('{ tasks(queue: "mail", limit: 1) { id } taskStats { queued } queues { name } }')
    assert client.ask("mutation ($id: ID!) { cancelTask(id: $id) { status } }", id=task_id)


@needs_redis_server
@pytest.mark.parametrize("absence", ["kill", "freeze"])
def test_without_redis_all_but_speed_goes_on_and_afterwards_speed_too(
    absence: str, own_redis: RedisServer, start_client: Callable[..., Client]
):
    client = start_client(REDIS_URL=own_redis.url)
    task_id = client.create()
    with signed_in(client.server.socket_url, client.token) as socket:
        followed = socket.follow(FOLLOW, id=task_id)

        getattr(own_redis, absence)()
        lead_a_task_through_its_life(client)
        login, wrong, health = client.log_in(), client.log_in("wrong"), client.http.get("/health")
        client.ask("mutation ($id: ID!) { cancelTask(id: $id) { id } }", id=task_id)

        assert (login.status_code, wrong.status_code) == (200, 401)
        assert login.elapsed.total_seconds() < AT_ONCE
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["checks"]["redis"]["status"] == "down"
        assert socket.until(followed, "taskUpdated", "CANCELLED", RECOVERY)

        own_redis.thaw() if absence == "freeze" else own_redis.start()
        eventually(lambda: client.http.get("/health").json()["checks"]["redis"]["status"] == "ok", RECOVERY)
        lead_a_task_through_its_life(client)
    assert "Traceback" not in client.server.process.output


# --- several processes ----------------------------------------------------------------------------------------------


def refused_of(response: httpx.Response) -> tuple[int, bool]:
    """The status, and whether it says to come back within the minute."""
    return response.status_code, 1 <= int(response.headers.get("Retry-After", 0)) <= 60


def test_two_processes_share_the_rate_of_a_client(redis_server: Any, start_client: Callable[..., Client]):
    burst = 100
    limits = {"DTQ_API_RATE": "1", "DTQ_API_BURST": str(burst)}
    clients = [start_client(**limits), start_client(**limits)]
    began_at = elapsed_clock()

    answers = [client.post("{ __typename }") for _ in range(burst) for client in clients]

    passed = sum(answer.status_code == 200 for answer in answers)
    refilled = int(elapsed_clock() - began_at) + 1
    assert burst <= passed <= burst + len(clients) * MOST_UNASKED + refilled
    for client in clients:
        refused = client.post("{ __typename }")
        assert refused_of(refused) == (429, True)
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


def test_two_processes_share_the_failed_logins_of_an_account(redis_server: Any, start_client: Callable[..., Client]):
    clients = [start_client(), start_client()]

    failed = [client.log_in("wrong").status_code for _ in range(5) for client in clients]

    assert failed == [401] * 10
    for client in clients:
        assert refused_of(client.log_in()) == (429, True)
