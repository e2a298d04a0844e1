"""The Node packages of the conformance tests, in `var/node` as tests/conformance/package-lock.json pins them.

`python -m tests.support.node_packages` installs them; a test that needs them calls `ensure`, which does the same once.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.support.sources import ROOT

CONFORMANCE = ROOT / "tests" / "conformance"
_FOLDER = ROOT / "var" / "node"
_MANIFESTS = ("package.json", "package-lock.json")
_DEBIAN_PACKAGES = {"node": "nodejs", "npm": "npm"}


def missing_packages() -> list[str]:
    """The Debian packages that this needs and the machine does not have."""
    return [package for program, package in _DEBIAN_PACKAGES.items() if shutil.which(program) is None]


def ensure() -> Path:
    """The folder `node_modules`, as the lock file wants it. Raises CalledProcessError where npm cannot install it."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    modules, installed = _FOLDER / "node_modules", _FOLDER / "installed.json"
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "".join((CONFORMANCE / name).read_text() for name in _MANIFESTS)
        if not installed.exists() or installed.read_text() != wanted:
            installed.unlink(missing_ok=True)
            for name in _MANIFESTS:
                shutil.copy(CONFORMANCE / name, _FOLDER)
            subprocess.run(
                ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=_FOLDER, check=True
            )
            installed.write_text(wanted)
    return modules


if __name__ == "__main__":
    ensure()
