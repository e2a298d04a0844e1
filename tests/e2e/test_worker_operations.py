"""Workers that know nothing but an address and a token, against a real server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from accounts.roles import Role
from dtq_site.foundation.clock import elapsed_clock
from tests.support.processes import Process, Processes
from tests.support.servers import free_port
from tests.support.waiting import eventually
from tests.support.worker_client import WorkerClient, completed, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

TEAM = "red"


class Api:
    """A server process, and what tests ask it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}"
        self.http = httpx.Client(
            base_url=self.url, timeout=90, limits=httpx.Limits(max_connections=None), transport=None
        )
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
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "dtq_site.asgi:application"]
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

    assert sorted(took)[18] < 0.15


def test_a_claim_waits_no_longer_than_it_said(api: Api):
    worker = api.worker()

    began_at = elapsed_clock()
    assert worker.claim(waitSeconds=1) == []
    took = elapsed_clock() - began_at

    assert 0.9 < took < 5
    parked(api, 0)


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
