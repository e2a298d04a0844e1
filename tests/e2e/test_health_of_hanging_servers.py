"""Probes of a real API process while the servers behind it hang: they accept connections and say nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dtq_site.health import ANSWER_SECONDS
from tests.e2e.conftest import hanging
from tests.support.live_server import start_live_server
from tests.support.processes import Processes
from tests.support.servers import MariaDbServer, RedisServer

SLACK_SECONDS = 0.5


@pytest.mark.long
def test_every_probe_answers_in_time_while_redis_or_the_database_hangs(
    on_own_mariadb: MariaDbServer, own_redis: RedisServer, processes: Processes
):
    server = start_live_server(processes, DATABASE_URL=on_own_mariadb.url(), REDIS_URL=own_redis.url)

    def probe() -> dict[str, tuple[int, Any]]:
        found = {}
        for path in ("/health", "/health/database", "/health/ready", "/health/queue", "/health/live"):
            response = httpx.get(server.http_url + path, timeout=30)
            assert response.elapsed.total_seconds() < ANSWER_SECONDS + SLACK_SECONDS, path
            found[path.removeprefix("/health")] = (response.status_code, response.json()["status"])
        return found

    def ready(queue: str) -> dict[str, tuple[int, Any]]:
        codes = {"": "degraded", "/database": "ok", "/ready": "ok", "/queue": queue, "/live": "ok"}
        return {path: (200, status) for path, status in codes.items()}

    assert probe() == ready("ok")  # degraded, for there is no worker
    with hanging(own_redis):
        assert probe() == ready("degraded")
    with hanging(on_own_mariadb):
        assert probe() == dict.fromkeys(["", "/database", "/ready", "/queue"], (503, "down")) | {"/live": (200, "ok")}
    assert probe() == ready("ok")
