"""The process screen with real children: one log, restarts, and nothing left behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from dtq_site.development.preflight import folder_problem, port_problem
from dtq_site.development.screen import wants_colours
from tests.support.processes import ROOT, Processes
from tests.support.servers import free_port
from tests.support.waiting import eventually

PARENT = """
import sys
from pathlib import Path
from dtq_site.development.child import Child
from dtq_site.development.screen import Screen
from dtq_site.development.session import Session
root = Path(sys.argv[1])
screen = Screen(sys.stdout, ["api", "worker", "scheduler"], colours=False)
children = [
    Child(name, [sys.executable, str(root / "child.py"), name], environment={}, screen=screen, grace_seconds=1.0)
    for name in ("api", "worker", "scheduler")
]
Session(
    children,
    root=root,
    screen=screen,
    is_ready=lambda: True,
    welcome=lambda: "welcome",
    migrate=lambda: print("migrated", flush=True),
).run()
"""
CHILD = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(f"{sys.argv[1]} asked to end", flush=True)))
print(f"{sys.argv[1]} up as {os.getpid()}", flush=True)
time.sleep(60)
"""
STUBBORN = CHILD.replace("sys.exit(print", "(print")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder that the screen watches."""
    root = tmp_path / "project"
    for folder in ("tasks/migrations", "workers/runtime", "dtq_site/api"):
        (root / folder).mkdir(parents=True)
    (root / "child.py").write_text(CHILD)
    return root


def pids_of(output: str, name: str) -> list[int]:
    return [int(pid) for pid in re.findall(rf"{name} up as (\d+)", output)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def start(processes: Processes, project: Path) -> tuple[object, dict[str, int]]:
    screen = processes.start([sys.executable, "-c", PARENT, str(project)], PYTHONPATH=str(ROOT))
    for name in ("api", "worker", "scheduler"):
        screen.wait_for(f"{name} up as")
    return screen, {name: pids_of(screen.output, name)[0] for name in ("api", "worker", "scheduler")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_child_in_order(processes: Processes, project: Path, number: signal.Signals) -> None:
    screen, children = start(processes, project)

    screen.signal(number)

    assert screen.wait(10) == 0
    assert not any(alive(pid) for pid in children.values())
    assert screen.output.count("asked to end") == 3


def test_kill_9_of_the_screen_leaves_no_child(processes: Processes, project: Path) -> None:
    screen, children = start(processes, project)

    screen.kill()

    eventually(lambda: not any(alive(pid) for pid in children.values()))


def test_a_child_that_does_not_end_is_killed_after_the_grace(processes: Processes, project: Path) -> None:
    (project / "child.py").write_text(STUBBORN)
    screen, children = start(processes, project)

    screen.signal(signal.SIGTERM)

    assert screen.wait(10) == 0
    assert not any(alive(pid) for pid in children.values())
    assert "worker has not ended in 1 s and is killed" in screen.output


def test_a_second_signal_does_not_wait(processes: Processes, project: Path) -> None:
    (project / "child.py").write_text(STUBBORN)
    screen, children = start(processes, project)

    screen.signal(signal.SIGINT)
    screen.wait_for("ending")
    screen.signal(signal.SIGINT)

    assert screen.wait(10) == 0
    assert not any(alive(pid) for pid in children.values())
    assert "is killed" not in screen.output


def test_a_child_that_dies_is_started_again(processes: Processes, project: Path) -> None:
    screen, children = start(processes, project)

    os.kill(children["worker"], signal.SIGKILL)

    screen.wait_for("worker ended with signal 9; it starts again in")
    eventually(lambda: len(pids_of(screen.output, "worker")) == 2)
    assert alive(children["api"]) and alive(children["scheduler"])


def test_a_change_restarts_only_whom_it_concerns(processes: Processes, project: Path) -> None:
    screen, children = start(processes, project)
    screen.wait_for("welcome")

    def worker_restarted() -> bool:
        # Written again and again: the watch may begin a moment after the children do.
        (project / "workers/runtime/executor.py").write_text(f"# {os.urandom(4).hex()}")
        return len(pids_of(screen.output, "worker")) >= 2

    eventually(worker_restarted, 20, every_seconds=1.0)
    assert "executor.py changed: worker start again" in screen.output
    assert alive(children["api"]) and alive(children["scheduler"])
    assert not alive(children["worker"])
    assert "migrated" not in screen.output


def test_a_new_migration_is_applied_before_the_restart(processes: Processes, project: Path) -> None:
    screen, _ = start(processes, project)

    def restarted() -> bool:
        (project / "tasks/migrations/0002_new.py").write_text(f"# {os.urandom(4).hex()}")
        return "migrated" in screen.output and len(pids_of(screen.output, "scheduler")) >= 2

    eventually(restarted, 20, every_seconds=1.0)
    assert screen.output.index("migrated") < screen.output.rindex("scheduler up")


def test_every_line_bears_the_name_of_its_process(processes: Processes, project: Path) -> None:
    screen, _ = start(processes, project)

    lines = screen.output.splitlines()
    assert any(line.startswith("api       | api up as") for line in lines)
    assert any(line.startswith("scheduler | scheduler up as") for line in lines)
    assert "\x1b[" not in screen.output


@pytest.mark.parametrize(
    ("environ", "is_terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
    ],
)
def test_colours_follow_the_terminal_and_the_environment(
    environ: dict[str, str], is_terminal: bool, coloured: bool
) -> None:
    assert wants_colours(environ, is_terminal=is_terminal) is coloured


def test_a_used_port_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert port_problem("127.0.0.1", port) == (
            f"Port {port} is in use. End the program that listens on it, or choose another: PORT={port + 1}."
        )
    assert port_problem("127.0.0.1", free_port()) is None


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    assert folder_problem(tmp_path / "new") is None
    problem = folder_problem(blocked / "var")
    assert problem is not None
    assert str(blocked / "var") in problem and "DTQ_DATA_FOLDER" in problem and "\n" not in problem
