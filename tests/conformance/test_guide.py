"""docs/API-GUIDE.md: the programs that it shows, in each language, lead from signing in to the end of a task."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import demo
from tests.support import gql_environment, node_packages
from tests.support.processes import Processes
from tests.support.sources import ROOT

SECTION = (ROOT / "docs" / "API-GUIDE.md").read_text().split("### From signing in to the end of a task")[1]
SERVER = "http://localhost:3000"


def program(language: str, server_url: str) -> str:
    """What the guide shows in that language, for this server."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", SECTION.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert SERVER in text
    return text.replace(SERVER, server_url)


@pytest.fixture
def run(server_url: str, processes: Processes, tmp_path: Path) -> Callable[..., str]:
    """Runs the guide's program beside a server with the demo accounts and a worker; returns what it prints."""
    demo.make(demo.ROLES[0])
    processes.manage("runworker").wait_for("worker.ready")

    def run(language: str, file: str, *command: str) -> str:
        (tmp_path / file).write_text(program(language, server_url))
        done = subprocess.run([*command, file], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_program_for_curl(run: Callable[..., str]):
    assert '"status":"COMPLETED"' in run("bash", "follow.sh", "bash")


def test_the_program_in_python(run: Callable[..., str]):
    printed = run("python", "follow.py", str(gql_environment.python())).splitlines()

    versions = [int(line.split()[0]) for line in printed]
    assert versions == sorted(set(versions))
    assert printed[-1].split()[1] == "COMPLETED"


def test_the_program_in_javascript(run: Callable[..., str], tmp_path: Path):
    (tmp_path / "node_modules").symlink_to(node_packages.ensure())

    printed = run("js", "follow.mjs", "node").splitlines()

    assert printed[-1].split()[1] == "COMPLETED"
