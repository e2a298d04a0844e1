"""The environment of the Python client gql, in `var/gql` as tests/conformance/gql.txt pins it; made when first asked for."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.sources import ROOT

REQUIREMENTS = ROOT / "tests" / "conformance" / "gql.txt"
_FOLDER = ROOT / "var" / "gql"


def python() -> Path:
    """The interpreter of the environment. Raises CalledProcessError where it cannot be made."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    environment, installed = _FOLDER / "environment", _FOLDER / "installed.txt"
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = REQUIREMENTS.read_text()
        if not installed.exists() or installed.read_text() != wanted:
            installed.unlink(missing_ok=True)
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
            install = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "-r", str(REQUIREMENTS)]
            subprocess.run([str(environment / "bin" / "python"), *install], check=True)
            installed.write_text(wanted)
    return environment / "bin" / "python"


if __name__ == "__main__":
    python()
