"""What the probe of a worker and of a scheduler says: alive while idle and while servers are away, and not when it is stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtq_site.foundation.liveness import ALIVE, verdict
from tests.e2e.conftest import hanging
from tests.support.processes import Process, Processes
from tests.support.servers import MariaDbServer, RedisServer, free_port
from tests.support.waiting import eventually

STUCK_AFTER_SECONDS = 3
SETTINGS = {"DTQ_STUCK_AFTER": f"{STUCK_AFTER_SECONDS}s"}


def turns_into(path: Path, expected: str, timeout_seconds: float = 15.0) -> None:
    def check() -> bool:
        assert verdict(path) == expected
        return True

    eventually(check, timeout_seconds)


def stays_alive(path: Path, seconds: float) -> None:
    """Across so long a time the probe says nothing else, at whichever moment it looks."""
    turns_into(path, ALIVE)
    verdicts, began_at = set(), path.stat().st_mtime

    def goes_on() -> bool:
        verdicts.add(verdict(path))
        return verdicts != {ALIVE} or path.stat().st_mtime - began_at >= seconds

    eventually(goes_on, seconds + 15)
    assert verdicts == {ALIVE}


@pytest.mark.long
def test_an_idle_worker_is_alive_and_a_suspended_process_of_its_is_told(
    start_worker: Callable[..., Process], tmp_path: Path
):
    path = tmp_path / "health"
    worker = start_worker("--processes", "2", "--health-file", str(path), **SETTINGS)
    stays_alive(path, STUCK_AFTER_SECONDS + 2)

    suspended, keeper = worker.workers()[0], worker.keepers()[0]
    os.kill(suspended, signal.SIGSTOP)
    eventually(lambda: verdict(path) in ("stuck: worker 1", "stuck: worker 2"), 15)
    os.kill(suspended, signal.SIGCONT)
    turns_into(path, ALIVE)
    os.kill(keeper, signal.SIGSTOP)
    turns_into(path, "stuck: keeper")
    check = subprocess.run([sys.executable, "manage.py", "healthcheck", str(path)], capture_output=True, text=True)
    os.kill(keeper, signal.SIGCONT)

    assert (check.returncode, check.stderr) == (1, "dtq: stuck: keeper\n")
    turns_into(path, ALIVE)
    assert worker.terminate() == 0
    assert not path.exists()


def test_a_scheduler_is_alive_while_redis_hangs(
    start_scheduler: Callable[..., Process], own_redis: RedisServer, tmp_path: Path
):
    path = tmp_path / "health"
    scheduler = start_scheduler(REDIS_URL=own_redis.url, DTQ_HEALTH_FILE=str(path), **SETTINGS)
    with hanging(own_redis):
        stays_alive(path, STUCK_AFTER_SECONDS + 2)

    assert scheduler.terminate() == 0
    assert not path.exists()


@pytest.mark.long
def test_a_worker_stays_alive_while_its_database_hangs(
    on_own_mariadb: MariaDbServer, start_worker: Callable[..., Process], tmp_path: Path
):
    path = tmp_path / "health"
    settings = {"DTQ_STUCK_AFTER": "10s", "DTQ_DATABASE_TIMEOUT": "5s"}
    own = {"DATABASE_URL": on_own_mariadb.url(), "DTQ_DATA_FOLDER": str(tmp_path / "data")}
    worker = start_worker("--health-file", str(path), **own, **settings)

    with hanging(on_own_mariadb):
        worker.wait_for("server.unreachable")
        stays_alive(path, 12)

    assert worker.terminate() == 0


def test_a_remote_worker_that_is_cut_off_is_alive(processes: Processes, tmp_path: Path):
    path = tmp_path / "health"
    server = f"http://127.0.0.1:{free_port()}/graphql"
    own: dict[str, Any] = {"DTQ_TOKEN": "dtqw_x", "DTQ_HANDLERS": "tests.e2e.job_handlers", **SETTINGS}
    worker = processes.manage(
        "runworker", "--server", server, "--store", str(tmp_path / "store"), "--health-file", str(path), **own
    )

    worker.wait_for("server.unreachable")

    stays_alive(path, STUCK_AFTER_SECONDS + 2)
    assert worker.terminate() == 0


@pytest.fixture(autouse=True)
def _committed(committed_db: None) -> None:
    """Every one of these looks at rows that its processes commit."""
