"""Workers that know nothing but an address and a token, against a real server."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import pytest

from accounts.roles import Role
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock
from tests.support.processes import Process, Processes
from tests.support.servers import RedisServer, free_port
from tests.support.waiting import eventually
from tests.support.worker_client import Refused, WorkerClient, completed, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

TEAM = "red"


class Api:
    """A server process, and what tests ask it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port, self.url = process, port, f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=90)
        with httpx.Client(transport=httpx.HTTPTransport(retries=40), timeout=30) as client:
            client.get(f"{self.url}/health/live").raise_for_status()

    def worker(self, team: str = TEAM, *handlers: str, **said: Any) -> WorkerClient:
        """A worker of a new account."""
        return WorkerClient(over_http(self.http, token_of(team)), *(handlers or ("send-email",)), **said)

    def gauge(self, name: str) -> float:
        """The value of a metric without labels."""
        (line,) = [line for line in self.http.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])


def token_of(team: str) -> str:
    """An access token of a new account of a worker."""
    from accounts import authentication, registration
    from tests.integration.graphql.making import make_identity

    identity = make_identity(Role.WORKER, team)
    user = registration.User.objects.get(pk=identity.user_id)
    return authentication.sign_in(user).access_token


@pytest.fixture
def start_api(processes: Processes) -> Callable[..., Api]:
    """Starts servers."""

    def start(**variables: str) -> Api:
        port = free_port()
        command = [sys.executable, "-m", "dtq_site.server", "-p", str(port), "dtq_site.asgi:application"]
        return Api(processes.start(command, DJANGO_SETTINGS_MODULE="dtq_site.settings", **variables), port)

    return start


@pytest.fixture
def api(start_api: Callable[..., Api]) -> Api:
    """A server."""
    return start_api()


def create(team: str = TEAM, **request: Any) -> str:
    from tests.integration.graphql.making import make_task

    return str(make_task(team, **request).pk)


def parked(api: Api, count: int) -> None:
    """Wait until so many claims wait."""
    eventually(lambda: api.gauge("dtq_claims_waiting") == count, 30)


# --- waiting -------------------------------------------------------------------------------------------------------


def test_a_waiting_claim_is_answered_when_a_task_is_created(api: Api):
    worker = api.worker()
    took = []
    with ThreadPoolExecutor(1) as threads:
        for _ in range(20):
            claim = threads.submit(worker.claim, waitSeconds=30)
            parked(api, 1)

            created_at = elapsed_clock()
            task_id = create()
            (leased,) = claim.result(10)
            took.append(elapsed_clock() - created_at)

            assert leased["taskId"] == task_id
            assert worker.report(completed(leased)) == ["ACCEPTED"]

    assert median(took) < 1  # it was called in: by itself it looks every 5 s


def test_a_claim_waits_no_longer_than_it_said(api: Api):
    worker = api.worker()

    began_at = elapsed_clock()
    assert worker.claim(waitSeconds=1) == []
    took = elapsed_clock() - began_at

    assert 0.9 < took < 5
    parked(api, 0)


def test_the_time_of_the_wait_does_not_shorten_the_lease(api: Api):
    from tasks.models import Task

    worker = api.worker()
    with ThreadPoolExecutor(1) as threads:
        sent_at = database_clock.now()
        claim = threads.submit(worker.claim, waitSeconds=30, leaseSeconds=10)
        parked(api, 1)
        time.sleep(2)
        task_id = create()
        (leased,) = claim.result(10)

    length = timedelta(milliseconds=leased["leaseMs"])
    assert timedelta(seconds=11.9) < length
    assert sent_at + length <= Task.objects.get(pk=task_id).lease_expires_at


def test_of_those_that_wait_one_of_the_task_s_team_is_called(api: Api):
    of_red, of_blue = api.worker("red"), api.worker("blue")
    with ThreadPoolExecutor(2) as threads:
        claims = {
            worker: threads.submit(worker.claim, waitSeconds=2, claim_id=str(uuid4())) for worker in (of_red, of_blue)
        }
        parked(api, 2)

        task_id = create("blue")

        assert [each["taskId"] for each in claims[of_blue].result(10)] == [task_id]
        assert claims[of_red].result(10) == []


def test_of_a_batch_each_gets_one(api: Api):
    from tests.integration.graphql.making import make_task

    workers = [api.worker() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        claims = [threads.submit(worker.claim, waitSeconds=30) for worker in workers]
        parked(api, 8)

        created = {str(make_task(TEAM).pk) for _ in range(8)}

        assert {leased["taskId"] for claim in claims for leased in claim.result(10)} == created


def send_claim(api: Api, worker: WorkerClient, token: str, wait_seconds: int = 60) -> socket.socket:
    """Send a claim that waits, by a connection of its own, and read nothing."""
    query = f"""mutation {{ claimTasks(workerId: "{worker.id}", claimId: "{uuid4()}", limit: 1, waitSeconds: {wait_seconds})
        {{ taskId }} }}"""
    body = json.dumps({"query": query})
    connection = socket.create_connection(("127.0.0.1", api.port))
    head = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    head += [f"Authorization: Bearer {token}", f"Content-Length: {len(body)}", "", body]
    connection.sendall("\r\n".join(head).encode())
    return connection


def test_a_claim_whose_client_has_hung_up_takes_nothing(api: Api):
    token = token_of(TEAM)
    worker = WorkerClient(over_http(api.http, token), "send-email")
    connection = send_claim(api, worker, token)
    parked(api, 1)

    connection.close()
    parked(api, 0)
    task_id = create()

    assert [each["taskId"] for each in worker.claim()] == [task_id]


def test_the_tasks_of_a_paused_queue_wake_nobody_and_those_of_a_new_queue_do(api: Api):
    from tasks import queues

    worker = api.worker()
    create(queue="paused")
    queues.pause("paused")
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)

        task_id = create(queue="new")

        assert [each["taskId"] for each in claim.result(3)] == [task_id]


def test_a_revoked_token_ends_the_wait_without_a_task(api: Api):
    from accounts import worker_tokens
    from accounts.models import User
    from tests.integration.graphql.making import make_identity

    account = User.objects.get(pk=make_identity(Role.WORKER, TEAM).user_id)
    issued = worker_tokens.issue(account, name="boat")
    worker = WorkerClient(over_http(api.http, issued.secret), "send-email")
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)

        worker_tokens.revoke(issued.token.pk)
        task_id = create()

        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            claim.result(10)
    assert [each["taskId"] for each in api.worker().claim()] == [task_id]


def test_without_redis_tasks_are_found_a_little_later(own_redis: RedisServer, start_api: Callable[..., Api]):
    api = start_api(REDIS_URL=own_redis.url)
    worker = api.worker()
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)
        own_redis.kill()

        task_id = create()
        assert [each["taskId"] for each in claim.result(10)] == [task_id]

        own_redis.start()
        api.process.wait_for("bells.unheard")
        for _ in range(3):
            claim = threads.submit(worker.claim, waitSeconds=30)
            parked(api, 1)
            task_id = create()
            assert [each["taskId"] for each in claim.result(10)] == [task_id]


# --- many ----------------------------------------------------------------------------------------------------------


def seconds_of_a_query(api: Api, token: str) -> float:
    """How long 95 of 100 small queries take at most."""
    took = []
    for _ in range(100):
        began_at = elapsed_clock()
        answer = api.http.post(
            "/graphql", json={"query": "{ me { id } }"}, headers={"Authorization": f"Bearer {token}"}
        )
        took.append(elapsed_clock() - began_at)
        assert "errors" not in answer.json()
    return sorted(took)[94]


@pytest.mark.long
def test_a_thousand_waiting_claims_do_not_slow_the_api(api: Api, settings: Any):
    from tasks.models import Task

    teams = [(team, token_of(team)) for team in ("red", "blue", "green", "grey")]
    workers = [(WorkerClient(over_http(api.http, token), "send-email"), token) for _, token in teams]
    token = workers[0][1]
    seconds_of_a_query(api, token)
    alone = seconds_of_a_query(api, token)
    connections = []
    try:
        for number in range(1000):
            connections.append(send_claim(api, *workers[number % len(workers)]))
        parked(api, 1000)

        beside = seconds_of_a_query(api, token)
        print(f"p95 of a query: {alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside 1,000 waiting claims")
        assert beside < 5 * alone + 0.05
        assert len(list(Path(f"/proc/{api.process.pid}/task").iterdir())) <= settings.DTQ_API.threads + 4
        took = []
        for _ in range(20):
            began_at = elapsed_clock()
            task = Task.objects.filter(pk=create("grey"), status="PROCESSING")
            eventually(task.exists, every_seconds=0.002)
            took.append(elapsed_clock() - began_at)
        print(f"p95 from a task's creation to its claim: {sorted(took)[18] * 1000:.0f} ms")
        assert median(took) < 1
    finally:
        for connection in connections:
            connection.close()
    parked(api, 0)


# --- another language ----------------------------------------------------------------------------------------------


def test_the_worker_in_node_js_runs_tasks_and_stops_when_it_is_told_to(
    start_api: Callable[..., Api], processes: Processes
):
    from accounts import worker_tokens
    from accounts.models import User
    from tasks import lifecycle
    from tasks.models import Task, TaskLog
    from tests.integration.graphql.making import make_identity
    from workers.models import Worker

    node = shutil.which("node")
    assert node is not None, "this needs Node.js: apt-get install nodejs"
    api = start_api()
    account = User.objects.get(pk=make_identity(Role.WORKER, TEAM).user_id)
    token = worker_tokens.issue(account, name="node").secret
    script = str(Path(__file__).parents[2] / "docs/examples/worker.mjs")
    worker = processes.start([node, script], DTQ_SERVER=f"{api.url}/graphql", DTQ_TOKEN=token)
    worker.wait_for("^ready: word-count, nap$")

    counted = create(name="word-count", payload={"text": "to be or  not"})
    broken = create(name="word-count", payload={}, max_retries=0)
    worker.wait_for(f"word-count {counted} COMPLETED ACCEPTED")
    worker.wait_for(f"word-count {broken} FAILED ACCEPTED")
    endless = create(name="nap", payload={"seconds": 60}, max_retries=0)
    eventually(lambda: Task.objects.get(pk=endless).begun, 30)
    lifecycle.cancel(endless, database_clock.now())
    eventually(lambda: Task.objects.get(pk=endless).lease_expires_at is None, 30)
    last = create(name="nap", payload={"seconds": 3})
    eventually(lambda: Task.objects.get(pk=last).status == "PROCESSING", 30)

    assert worker.terminate() == 0
    assert Task.objects.get(pk=counted).result == {"words": 4}
    assert "TypeError" in Task.objects.get(pk=broken).error
    assert [line.message for line in TaskLog.objects.filter(task_id=counted)] == ["counting 13 characters"]
    assert Task.objects.get(pk=last).result == {"slept": 3}
    assert Worker.objects.get().status == "stopped"
