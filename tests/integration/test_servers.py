"""The test run's own floor: servers, clean rows, and processes that see what a test sees."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from tests.conftest import Servers
from tests.support.processes import Processes
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

COUNT = "from django.contrib.contenttypes.models import ContentType as C; print('rows', C.objects.filter(app_label='x').count())"


@pytest.fixture
def rows_before(committed_db: None) -> int:
    return ContentType.objects.count()


def test_a_process_sees_what_a_test_commits(committed_db: None, processes: Processes) -> None:
    assert not connection.in_atomic_block
    ContentType.objects.create(app_label="x", model="y")

    shell = processes.manage("shell", "--command", COUNT)

    assert shell.wait_for(r"rows (\d+)")[1] == "1"
    assert shell.wait() == 0


@pytest.mark.parametrize("round_number", [1, 2])
def test_what_a_test_commits_is_gone_for_the_next(rows_before: int, round_number: int) -> None:
    assert not ContentType.objects.filter(app_label="x").exists()

    with transaction.atomic():
        ContentType.objects.create(app_label="x", model="y")

    assert ContentType.objects.count() == rows_before + 1


def test_redis_is_empty_at_the_start_of_a_test(redis_server: Redis) -> None:
    assert redis_server.dbsize() == 0
    redis_server.set("left", "over")


def test_redis_is_empty_for_the_next_test_too(redis_server: Redis) -> None:
    assert redis_server.get("left") is None


def test_a_process_ends_with_its_children(processes: Processes) -> None:
    code = "import os, time; os.fork(); print('up', flush=True); time.sleep(60)"
    process = processes.start([sys.executable, "-c", code])
    eventually(lambda: process.output.count("up") == 2)
    assert len(process.members()) == 2

    process.kill()
    assert len(process.members()) == 1
    process.clear_away()

    assert process.members() == []


def test_a_process_that_ends_early_says_what_it_wrote(processes: Processes) -> None:
    process = processes.start([sys.executable, "-c", "raise SystemExit('no luck')"])

    with pytest.raises(RuntimeError, match="no luck"):
        process.wait_for("ready")


def test_signals_reach_the_process(processes: Processes) -> None:
    process = processes.start([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"])
    process.wait_for("up")

    assert process.terminate() == -signal.SIGTERM


@pytest.mark.skipif(RedisServer.program is None, reason="no redis-server on the system")
def test_a_server_of_a_test_can_be_killed_and_started_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    with Redis.from_url(server.url) as client:
        assert client.ping()

        server.kill()
        with pytest.raises(RedisAway):
            client.ping()
        server.start()

        assert client.ping()
    server.stop()


def test_the_environment_names_the_servers(servers: Servers) -> None:
    assert servers.environment["DATABASE_URL"] == servers.database_url
    assert servers.database_url.startswith(("sqlite:////", "mysql://"))
    assert servers.redis_url.startswith(("unix:///", "redis://"))
