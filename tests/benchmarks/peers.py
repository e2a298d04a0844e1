"""The environment that the peers live in: made on demand from `peers.txt`, apart from DTQ's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.place import FOLDER

REQUIREMENTS = Path(__file__).with_name("peers.txt")
_ENVIRONMENT = FOLDER / "peers"
_INSTALLED = _ENVIRONMENT / "installed.txt"


def python() -> Path:
    """The interpreter of the peers' environment."""
    return _ENVIRONMENT / "bin" / "python"


def ensure() -> None:
    """Make the environment unless it is there as `peers.txt` wants it. Raises CalledProcessError."""
    wanted = REQUIREMENTS.read_text()
    if _INSTALLED.exists() and _INSTALLED.read_text() == wanted:
        return
    print(f"Making the peers' environment in {_ENVIRONMENT}", flush=True)
    shutil.rmtree(_ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
    install = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--requirement", str(REQUIREMENTS)]
    subprocess.run([str(python()), *install], check=True)
    _INSTALLED.write_text(wanted)


def version(distribution: str) -> str:
    """The version that `peers.txt` pins."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return pins[distribution]
