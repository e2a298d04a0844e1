"""`make test`: every check in turn, and a summary at the end. `python -m tests.support.checks` runs them.

A failed check does not keep the others from running; the exit code tells whether all passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.backing import open_backing

_ROOT = Path(__file__).parents[2]
_BIN = Path(sys.executable).parent
_OK, _ALONE, _FAILED = "ok", "alone", "FAILED"
_TESTS_FAILED = 1  # pytest's code for it
_PROCESSES = min(8, (os.cpu_count() or 1) + 2)
"""Of pytest, each with servers of its own: more than processors, for many tests wait for processes that they have started."""


@dataclass(frozen=True)
class Check:
    """One command that must end with 0."""

    title: str
    command: tuple[str, ...]
    what_failed: tuple[str, ...] = ()
    """What runs again alone what has failed beside others; ends with 0 if it passes then."""


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(_BIN / name), *arguments)


def _tests(title: str, backing: str, *arguments: str) -> Check:
    cache = f".pytest_cache/{title.replace(' ', '-')}"
    pytest = (sys.executable, "-m", "pytest", f"--backing={backing}", "-o", f"cache_dir={cache}", *arguments)
    side_by_side = ("-q", "--cache-clear", "-n", str(_PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder")
    alone = ("-v", "--last-failed", "--last-failed-no-failures=none", "--exitfirst")
    return Check(title, (*pytest, *side_by_side), (*pytest, *alone))


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
    "tests/e2e/test_faults.py",
    "tests/e2e/test_limits.py",
    "tests/e2e/test_locks.py",
    "tests/e2e/test_main_job.py",
    "tests/e2e/test_scheduler_duties.py",
    "tests/e2e/test_schedules.py",
    "tests/e2e/test_worker.py",
    "tests/e2e/test_workflows.py",
)
"""Where something goes another way on SQLite and the embedded Redis."""

SEE_THE_SERVER_FROM_OUTSIDE = tuple(
    f"tests/integration/{part}" for part in ("api", "handlers", "live", "redis", "terminal")
)
"""These do not know on what it stands, as most of tests/e2e and all of tests/conformance: once is enough."""

ASK_NO_SERVER = ("tests/unit", "tests/architecture")
BRING_THEIR_SERVERS = ("tests/e2e/test_development.py",)
TRY_STORIES = ("tests/model",)
"""On SQLite, which is quick; the long tests try many more of them on MariaDB."""

TESTS = (
    _tests(
        "tests on SQLite and the embedded Redis",
        "sqlite",
        *ASK_NO_SERVER,
        *BRING_THEIR_SERVERS,
        *BY_THEIR_SERVERS,
        *TRY_STORIES,
        *_without(SEE_THE_SERVER_FROM_OUTSIDE),
    ),
    _tests("tests on MariaDB and Redis", "mariadb", *_without([*ASK_NO_SERVER, *BRING_THEIR_SERVERS, *TRY_STORIES])),
)
LONG_TESTS = (_tests("long tests on MariaDB and Redis", "mariadb", "-m", "long", "--timeout=3600"),)
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
            result = _run(check, {**os.environ, **variables})
            results.append((result, time.monotonic() - begun, check.title))
    print("\n=== summary")
    for result, seconds, title in results:
        print(f"{result:6}  {seconds:6.1f} s  {title}")
    if any(result == _ALONE for result, _, _ in results):
        print(f"{_ALONE}: some tests, named above, failed beside others and passed alone; they want to be mended")
    return int(any(result == _FAILED for result, _, _ in results))


def _run(check: Check, environment: Mapping[str, str]) -> str:
    """The result of a check. Servers side by side are slow at times: what fails only then is told, and is no failure."""
    code = subprocess.run(check.command, cwd=_ROOT, env=environment).returncode
    if code == _TESTS_FAILED and check.what_failed:
        print(f"\n=== {check.title}: what failed, alone", flush=True)
        if subprocess.run(check.what_failed, cwd=_ROOT, env=environment).returncode == 0:
            return _ALONE
    return _OK if code == 0 else _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
