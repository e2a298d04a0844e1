"""An environment with a later Python and Django than ours, and other people's tests of `django.tasks`, in `var/django`.

Made when first asked for: what DTQ and its tests need, as the constraints pin it, and what tests/conformance/django.txt names.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path, PurePosixPath

from tests.support.sources import ROOT

REQUIREMENTS = ROOT / "tests" / "conformance" / "django.txt"
_CONSTRAINTS = ROOT / "docker" / "constraints.txt"
_FOLDER = ROOT / "var" / "django"
_NAMES = ("python3.12", "python3.13", "python3")
_HIDDEN = Path.home() / ".pyenv" / "versions"


def interpreter() -> str | None:
    """A Python that this Django runs on; None if there is none here."""
    hidden = [str(path) for path in sorted(_HIDDEN.glob("3.12.*/bin/python3.12"))]
    for program in [*hidden, *filter(None, map(shutil.which, _NAMES))]:
        asked = subprocess.run(
            [program, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 12))"], capture_output=True
        )
        if asked.returncode == 0:
            return program
    return None


def ensure(program: str) -> tuple[Path, Path]:
    """The environment's interpreter, and a folder with `tasks/` of the Django's tests and `django_tasks_db.py`.

    Raises CalledProcessError where they cannot be made.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    environment, sources, installed = _FOLDER / "environment", _FOLDER / "sources", _FOLDER / "installed.txt"
    python = environment / "bin" / "python"
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        requirements = _requirements()
        wanted = f"{requirements}\n{REQUIREMENTS.read_text()}{_CONSTRAINTS.read_text()}"
        if not installed.exists() or installed.read_text() != wanted:
            installed.unlink(missing_ok=True)
            shutil.rmtree(environment, ignore_errors=True)
            shutil.rmtree(sources, ignore_errors=True)
            subprocess.run([program, "-m", "venv", str(environment)], check=True)
            _install(python, requirements)
            _unpack(python, sources)
            installed.write_text(wanted)
    return python, sources


def _requirements() -> str:
    """What our server and pytest need, but for Django; and the Django that is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tests = [each for each in extras["dev"] if each.startswith("pytest")]
    ours = [*project["dependencies"], *extras["server"], *tests]
    return "\n".join(
        [*(each for each in ours if not _is_django(each)), *filter(_is_django, REQUIREMENTS.read_text().splitlines())]
    )


def _is_django(requirement: str) -> bool:
    return re.match(r"django(?![\w-])", requirement, re.IGNORECASE) is not None


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], check=True)


def _install(python: Path, requirements: str) -> None:
    wanted, constraints = _FOLDER / "requirements.txt", _FOLDER / "constraints.txt"
    wanted.write_text(requirements)
    pinned = _CONSTRAINTS.read_text().splitlines()
    constraints.write_text("\n".join(line for line in pinned if not _is_django(line)))
    _pip(python, "install", "-r", str(wanted), "-c", str(constraints))


def _unpack(python: Path, sources: Path) -> None:
    _pip(python, "download", "--no-deps", "--no-binary", ":all:", "-d", str(sources), "-r", str(REQUIREMENTS))
    for archive in sources.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            for member in opened:
                content, place = opened.extractfile(member), _place_of(member.name)
                if content is not None and place is not None:
                    (sources / place).parent.mkdir(parents=True, exist_ok=True)
                    (sources / place).write_bytes(content.read())


def _place_of(name: str) -> Path | None:
    """Where a file of a distribution goes to, if anywhere: Django's to `tasks/`, that of django-tasks-db beside it."""
    distribution, *inside = PurePosixPath(name).parts
    if distribution.lower().startswith("django_tasks_db") and inside == ["tests", "tests.py"]:
        return Path("django_tasks_db.py")
    if inside[:2] == ["tests", "tasks"] and ".." not in inside:
        return Path(*inside[1:])
    return None


if __name__ == "__main__":
    found = interpreter()
    if found is not None:
        ensure(found)
