"""`make test`: every check in turn, and a summary at the end. `python -m tests.support.checks` runs them.

A failed check does not keep the others from running; the exit code tells whether all passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.backing import open_backing

_ROOT = Path(__file__).parents[2]
_BIN = Path(sys.executable).parent
_PROCESSES = min(8, (os.cpu_count() or 1) + 2)
"""Of pytest, each with servers of its own: more than processors, for many tests wait for processes that they have started."""


@dataclass(frozen=True)
class Check:
    """One command that must end with 0."""

    title: str
    command: tuple[str, ...]


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(_BIN / name), *arguments)


def _tests(backing: str, *arguments: str) -> tuple[str, ...]:
    side_by_side = ("-n", str(_PROCESSES), "--dist", "loadfile")
    return (sys.executable, "-m", "pytest", "-q", f"--backing={backing}", *side_by_side, *arguments)


def _without(paths: Iterable[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


STYLE = (Check("lint", _tool("ruff", "check")), Check("format", _tool("ruff", "format", "--check")))
TYPES = (Check("types", _tool("mypy")),)
CONTRACTS = (Check("import contracts", _tool("lint-imports")),)
MIGRATIONS = (Check("missing migrations", (sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")),)
BY_THEIR_SERVERS = (
    "tests/chaos",
    "tests/contract",
    "tests/integration",
    "tests/model",
    "tests/e2e/test_development.py",
    "tests/e2e/test_faults.py",
    "tests/e2e/test_limits.py",
    "tests/e2e/test_locks.py",
    "tests/e2e/test_main_job.py",
    "tests/e2e/test_scheduler_duties.py",
    "tests/e2e/test_schedules.py",
    "tests/e2e/test_thumbnails.py",
    "tests/e2e/test_worker.py",
    "tests/e2e/test_workflows.py",
)
"""Where something goes another way on SQLite and the embedded Redis."""

SEE_THE_SERVER_FROM_OUTSIDE = tuple(
    f"tests/integration/{part}" for part in ("api", "handlers", "live", "redis", "terminal")
)
"""These do not know on what it stands, as most of tests/e2e and all of tests/conformance: once is enough."""

ASK_NO_SERVER = ("tests/unit", "tests/architecture")
TESTS = (
    Check(
        "tests on SQLite and the embedded Redis",
        _tests("sqlite", *ASK_NO_SERVER, *BY_THEIR_SERVERS, *_without(SEE_THE_SERVER_FROM_OUTSIDE)),
    ),
    Check("tests on MariaDB and Redis", _tests("mariadb", *_without(ASK_NO_SERVER))),
)
LONG_TESTS = (Check("long tests on MariaDB and Redis", _tests("mariadb", "-m", "long", "--timeout=3600")),)
CHOICES = {
    "all": (*STYLE, *TYPES, *CONTRACTS, *MIGRATIONS, *TESTS),
    "lint": (*STYLE, *CONTRACTS),
    "types": TYPES,
    "migrations": MIGRATIONS,
    "long": LONG_TESTS,
}


def main(choice: str) -> int:
    """Run the checks of `choice`; returns 1 if one failed."""
    results = []
    with open_backing("sqlite") as variables:
        for check in CHOICES[choice]:
            print(f"\n=== {check.title}", flush=True)
            begun = time.monotonic()
            code = subprocess.run(check.command, cwd=_ROOT, env={**os.environ, **variables}).returncode
            results.append((check.title, code, time.monotonic() - begun))
    print("\n=== summary")
    for title, code, seconds in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'}  {seconds:6.1f} s  {title}")
    return int(any(code for _, code, _ in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
