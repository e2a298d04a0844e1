"""The terminal commands as real processes on a real terminal: `top` on its screen, and Ctrl-C while a task is watched."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from fcntl import ioctl
from struct import pack
from threading import Thread
from typing import Any

import pytest

from dtq_site.foundation.database import database_clock
from dtq_site.foundation.processes import dies_with_parent
from tasks import audit, lifecycle
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.models import Task
from tests.integration.graphql.making import POLICY, make_task, start
from tests.support.processes import ROOT, Processes
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")

LEAVES_SCREEN, SHOWS_CURSOR = "\x1b[?1049l", "\x1b[?25h"


class Terminal:
    """A command on a terminal of its own; `seen` is what it has drawn."""

    def __init__(self, environment: Mapping[str, str], *command: str) -> None:
        self._own, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, pack("HHHH", 24, 100, 0, 0))
        self._kept = theirs  # held open, so that its state can be read after the command's end
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *command],
            stdin=theirs, stdout=theirs, stderr=theirs,
            env={**environment, "TERM": "xterm-256color"}, cwd=ROOT, start_new_session=True, preexec_fn=dies_with_parent(),
        )  # fmt: skip
        self.seen = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the terminal is gone
            while part := os.read(self._own, 65536):
                self.seen += part.decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def state(self) -> list[object]:
        return termios.tcgetattr(self._kept)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._kept)
        self._reader.join()
        os.close(self._own)


@pytest.fixture
def on_terminal(servers: Any) -> Iterator[Callable[..., Terminal]]:
    """Runs a command on a terminal."""
    with ExitStack() as opened:

        def run(*command: str) -> Terminal:
            terminal = Terminal({**os.environ, **servers.environment}, *command)
            opened.callback(terminal.close)
            return terminal

        yield run


@pytest.fixture
def top(on_terminal: Callable[..., Terminal]) -> Terminal:
    """`top`, and its first board."""
    terminal = on_terminal("top")
    eventually(lambda: "default" in terminal.seen, 30)
    return terminal


def test_top_follows_the_queues_and_gives_the_terminal_back(top: Terminal):
    assert "freshly" not in top.seen

    make_task(queue="freshly-made")
    eventually(lambda: "freshly-made" in top.seen)

    top.press("\x1b[A")  # an arrow begins like Escape, and ends nothing
    top.press("x")
    already = len(top.seen)
    eventually(lambda: len(top.seen) > already)
    assert top.process.poll() is None
    assert top.state() != top.before

    top.press("q")
    assert top.process.wait(10) == 0
    eventually(lambda: LEAVES_SCREEN in top.seen)
    assert top.state() == top.before


def test_top_gives_the_terminal_back_when_it_is_told_to_end(top: Terminal):
    top.process.send_signal(signal.SIGTERM)

    assert top.process.wait(10) == 128 + signal.SIGTERM
    eventually(lambda: LEAVES_SCREEN in top.seen)
    assert top.state() == top.before


def test_progress_is_a_bar_on_a_terminal_and_gone_in_the_end(on_terminal: Callable[..., Terminal]):
    watching = on_terminal("enqueue", "send-email", "--watch")
    eventually(lambda: "QUEUED" in watching.seen, 30)

    task = start(Task.objects.get())
    lease, now = Lease(task.pk, task.fencing_token, task.claim_id), database_clock.now()
    lifecycle.note_progress({lease: 40}, now)
    line = audit.LogLine(task.pk, task.fencing_token, 1, 1, "info", "[red]almost[/red]")
    audit.record_lines([line], now)
    eventually(lambda: " 40%" in watching.seen and "info: [red]almost[/red]" in watching.seen)
    lifecycle.settle([Outcome(lease, OutcomeKind.COMPLETED, 0.1, result="done")], POLICY, lambda: 0.0, now)

    assert watching.process.wait(10) == 0
    eventually(lambda: SHOWS_CURSOR in watching.seen)
    last_words = watching.seen[watching.seen.index("COMPLETED") :]
    assert last_words.startswith('COMPLETED: "done"')
    assert watching.state() == watching.before


def test_ctrl_c_ends_the_watching_and_not_the_task(processes: Processes):
    watching = processes.manage("enqueue", "send-email", "--watch")
    watching.wait_for("^QUEUED")

    watching.signal(signal.SIGINT)

    assert watching.wait() == 130
    task = Task.objects.get()
    assert (
        watching.output.splitlines()[-1] == f"Nobody watches any more; the task goes on: manage.py tasks show {task.pk}"
    )
    assert task.status == "QUEUED"


def test_wrong_arguments_end_with_two_and_no_traceback(processes: Processes):
    refused = processes.manage("tasks", "list", "--status", "lost")
    nowhere = processes.manage("top", DATABASE_URL="sqlite:////nonexistent/db.sqlite3")

    assert (refused.wait(), nowhere.wait()) == (2, 2)
    assert "'lost' is no state" in refused.output.splitlines()[-1]
    assert nowhere.output.startswith("CommandError: The database refuses: unable to open database file.")
    assert "Traceback" not in refused.output + nowhere.output


def test_a_reader_that_leaves_ends_a_list_quietly(processes: Processes):
    for _ in range(3):
        make_task(title="long " * 30)
    listing = f"{sys.executable} {ROOT / 'manage.py'} tasks list --json"

    ran = processes.start(["bash", "-c", f"set -o pipefail; {listing} | true; echo ended with $?"])

    assert (ran.wait(), ran.output) == (0, "ended with 0\n")
