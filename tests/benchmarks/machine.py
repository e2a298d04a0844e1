"""What the page says of the machine and of the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from dtq_site.foundation.version import VERSION
from tests.benchmarks import peers
from tests.benchmarks.place import FOLDER, ROOT


def machine() -> dict[str, str]:
    """Its hardware and system, as the kernel tells."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{os.cpu_count()} x {_first_value('/proc/cpuinfo', 'model name', ':')}",
        "memory": f"{gibibytes:.0f} GiB",
        "disk": f"{_file_system(FOLDER)} under the database",
        "system": f"{_first_value('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release().partition('-')[0]}",
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }


def versions(of_servers: dict[str, str]) -> dict[str, str]:
    """Everything that took part."""
    names = {
        "Celery": "celery",
        "django-celery-results": "django_celery_results",
        "Dramatiq": "dramatiq",
        "Huey": "huey",
        "Django": "Django",
        "redis-py": "redis",
        "mysqlclient": "mysqlclient",
    }
    ours = {"DTQ": dtq_version(), "Python": _python()}
    return {**ours, **of_servers, **{name: peers.version(pin) for name, pin in names.items()}}


def _python() -> str:
    """Its version; a system's own is built with optimisations that one from source has only if it is asked to."""
    return f"{platform.python_version()}{' of the system' if sys.base_prefix == '/usr' else ''}"


def dtq_version() -> str:
    """Ours, with the commit."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return f"{VERSION} ({done.stdout.strip() or 'no git revision'})"


def _first_value(file: str, key: str, separator: str) -> str:
    for line in Path(file).read_text().splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return "unknown"


def _file_system(folder: Path) -> str:
    """The type of the file system that `folder` is on: the longest mount point above it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(point, kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0]))[1]
