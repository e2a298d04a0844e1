"""What the outside judges need: a running server, and Node with its packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support import node_packages
from tests.support.processes import Processes
from tests.support.servers import free_port


@pytest.fixture(scope="session")
def run_node() -> Callable[..., Any]:
    """Runs a script of this folder in Node, with its arguments, and returns the JSON that it writes."""
    if missing := node_packages.missing_packages():
        remedy = f"this needs the Debian packages {', '.join(missing)}: apt-get install {' '.join(missing)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(remedy)
    environment = {**os.environ, "NODE_PATH": str(node_packages.ensure())}

    def run(script: str, *arguments: str) -> Any:
        command = ["node", str(node_packages.CONFORMANCE / script), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """The program of a browser, if this machine has one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@pytest.fixture
def browser() -> str:
    """The program of a browser."""
    found = find_browser()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("this needs Chromium: apt-get install chromium")
    return found


@pytest.fixture
def server_url(committed_db: None, processes: Processes) -> str:
    """The address of a server that runs as `manage.py runserver` runs it."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    processes.manage("runserver", str(port), "--noreload")
    with httpx.Client(transport=httpx.HTTPTransport(retries=20), timeout=30) as client:
        client.get(f"{url}/health/live").raise_for_status()
    return url
