"""A thousand workers that wait for tasks at one server."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from dtq_site.foundation.clock import elapsed_clock
from tests.e2e.claiming import Api, create, parked, send_claim, token_of
from tests.support.waiting import eventually
from tests.support.worker_client import WorkerClient, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")


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
        assert len(list(Path(f"/proc/{api.server.process.pid}/task").iterdir())) <= settings.DTQ_API.threads + 4
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
