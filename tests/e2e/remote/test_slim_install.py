"""The recipe for a laptop in an environment of its own: the base dependencies are all that a remote worker needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Process
from tests.support.servers import free_port
from tests.support.sources import PACKAGES

HANDLERS = 'from tasks import task\n\n@task("shout")\ndef shout(text: str) -> str:\n    return text.upper()\n'


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_worker_starts_from_the_base_dependencies_alone(tmp_path: Path):
    project = tmp_path / "project"
    for name in (*PACKAGES, "docker"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "dtq"], check=True)
    programs = tmp_path / "dtq" / "bin"
    install = [programs / "pip", "install", "--quiet", "-c", project / "docker/constraints.txt", project]
    subprocess.run(install, check=True, cwd=tmp_path)
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    (tmp_path / "token").write_text("dtqw_none")
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DTQ_HANDLERS": "my_handlers", "PYTHONUNBUFFERED": "1"}

    listed = subprocess.run([programs / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    installed = {line.partition("==")[0].lower() for line in listed.stdout.split()}
    assert installed & {"django", "channels", "daphne", "redis", "mysqlclient", "graphene"} == set()
    server = f"http://127.0.0.1:{free_port()}/graphql"
    command = [str(programs / "dtq-worker"), "--server", server, "--token-file", "token"]
    worker = Process(command, environment=bare, log=tmp_path / "worker.log", cwd=tmp_path)
    try:
        worker.wait_for("server.unreachable .*sign-on")
        assert worker.terminate() == 0
    finally:
        worker.clear_away()
    shown = subprocess.run([programs / "dtq-worker-store"], env=bare, capture_output=True, text=True, check=True)
    assert shown.stdout == f"{tmp_path}/.dtq/worker: nothing is kept\n"
