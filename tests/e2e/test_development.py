"""`manage.py dev`, which `make run` calls, with its real processes on SQLite and the embedded Redis."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Process, Processes, holding_processes
from tests.support.servers import free_port
from tests.support.waiting import eventually

Start = Callable[[], tuple[Process, str]]
READY = r"DTQ is ready \((\d+\.\d) s\)"


@pytest.fixture
def start_dev(processes: Processes, tmp_path: Path) -> Start:
    """Start the screen in a data folder of the test's own; returns it and the URL of its API."""

    def start() -> tuple[Process, str]:
        port = free_port()
        alone = {"DATABASE_URL": "", "REDIS_URL": "", "DTQ_DATA_FOLDER": str(tmp_path / "var"), "PORT": str(port)}
        return processes.manage("dev", **alone), f"http://127.0.0.1:{port}"

    return start


def health_of(url: str) -> str | None:
    """What `/health` says, or None while nobody answers."""
    try:
        return str(httpx.get(f"{url}/health", timeout=30).json()["status"])
    except httpx.TransportError:
        return None


def test_one_command_starts_everything_and_ctrl_c_ends_it(start_dev: Start, tmp_path: Path) -> None:
    dev, url = start_dev()
    dev.wait_for(READY, 60)
    dev.wait_for("worker +.*worker.ready", 30)
    dev.wait_for("scheduler +.*scheduler.ready", 30)
    answer = httpx.post(f"{url}/auth/login", json={"username": "admin", "password": "admin123"}, timeout=30)
    assert (answer.status_code, answer.json()["user"]["role"]) == (200, "admin")
    eventually(lambda: health_of(url) == "ok", 20)

    dev.signal(signal.SIGINT)

    assert dev.wait(30) == 0
    eventually(lambda: holding_processes(tmp_path / "var") == {})


@pytest.mark.long
def test_a_second_start_is_ready_in_seconds(start_dev: Start, tmp_path: Path) -> None:
    first, _ = start_dev()
    first.wait_for(READY, 60)
    assert first.terminate() == 0

    second, _ = start_dev()

    assert float(second.wait_for(READY, 60)[1]) < 10
    assert second.terminate() == 0
    eventually(lambda: holding_processes(tmp_path / "var") == {})


def test_kill_9_of_the_screen_leaves_no_process(start_dev: Start, tmp_path: Path) -> None:
    dev, _ = start_dev()
    dev.wait_for(READY, 60)
    dev.wait_for("worker.ready", 30)

    dev.kill()

    eventually(lambda: holding_processes(tmp_path / "var") == {}, 20)


def test_a_used_port_is_one_line_and_nothing_is_started(processes: Processes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        dev = processes.manage(
            "dev", DATABASE_URL="", REDIS_URL="", DTQ_DATA_FOLDER=str(tmp_path / "var"), PORT=str(port)
        )

        assert dev.wait() == 1
    assert re.fullmatch(rf"CommandError: Port {port} is in use\. .*PORT={port + 1}\.\n", dev.output)
    assert not (tmp_path / "var" / "dtq.sqlite3").exists()


def test_an_unusable_folder_is_one_line(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    dev = processes.manage("dev", DATABASE_URL="", REDIS_URL="", DTQ_DATA_FOLDER=str(tmp_path / "file" / "var"))

    assert dev.wait() == 1
    (line,) = dev.output.splitlines()
    assert line.startswith("dtq: ") and "DTQ_DATA_FOLDER" in line


def test_a_database_that_does_not_answer_is_one_line(processes: Processes, tmp_path: Path) -> None:
    pytest.importorskip("MySQLdb")
    url = f"mysql://nobody:nothing@127.0.0.1:{free_port()}/dtq"

    dev = processes.manage(
        "dev", DATABASE_URL=url, REDIS_URL="", DTQ_DATA_FOLDER=str(tmp_path / "var"), PORT=str(free_port())
    )

    assert dev.wait() == 1
    assert re.fullmatch(r"CommandError: The database does not answer: .*DATABASE_URL\.\n", dev.output)


def test_the_three_commands_share_one_embedded_redis(processes: Processes, tmp_path: Path) -> None:
    folder = tmp_path / "var"
    alone = {"DATABASE_URL": "", "REDIS_URL": "", "DTQ_DATA_FOLDER": str(folder), "PORT": str(free_port())}
    assert processes.manage("migrate", "--verbosity=0", **alone).wait(60) == 0

    started = [
        processes.manage("runserver", "--noreload", **alone),
        processes.manage("runworker", **alone),
        processes.manage("runscheduler", **alone),
    ]
    started[1].wait_for("worker.ready")
    started[2].wait_for("scheduler.ready")
    eventually(lambda: health_of(f"http://127.0.0.1:{alone['PORT']}") == "ok", 30)

    assert sum("redis-server" in command for command in holding_processes(folder).values()) == 2  # guard and server
    assert [process.terminate() for process in started] == [0, 0, 0]
    eventually(lambda: holding_processes(folder) == {})
