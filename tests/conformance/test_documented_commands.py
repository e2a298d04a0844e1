"""What the pages offer to be typed works: the blocks that say that they can be run, and the README's first task with curl."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from accounts import demo
from tests.conftest import Servers
from tests.support.pages import SHELL, blocks
from tests.support.processes import Processes
from tests.support.sources import ROOT
from tests.support.waiting import eventually

ADDRESS = "http://localhost:3000"


@pytest.fixture
def at_work(server_url: str, processes: Processes) -> str:
    """A server with the demo accounts and a worker; its address."""
    for role in demo.ROLES:
        demo.make(role)
    processes.manage("runworker").wait_for("worker.ready")
    return server_url


def typed(text: str, server_url: str, servers: Servers) -> str:
    """What a shell answers to these lines, the first of which that fails ends it."""
    text = text.replace(".venv/bin/python", sys.executable).replace(ADDRESS, server_url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=ROOT,
        env={**os.environ, **servers.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_can_be_run_runs(at_work: str, servers: Servers):
    runnable = [block for block in blocks(*SHELL) if block.runnable]
    assert runnable

    for block in runnable:
        typed(block.text, at_work, servers)


def test_the_first_task_with_curl(at_work: str, servers: Servers):
    from tasks.models import Task

    (block,) = [block for block in blocks("bash") if block.page == "README.md" and "TOKEN=" in block.text]

    printed = typed(block.text, at_work, servers)

    assert '"errors"' not in printed
    assert eventually(lambda: Task.objects.get(name="send-email").result) == {
        "sent": 1,
        "recipients": ["user@example.com"],
    }
