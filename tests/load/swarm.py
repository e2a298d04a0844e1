"""Sends users of `locustfile.py`, in a process of locust, against one server, and reads what they have seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import percentile
from tests.benchmarks.place import ROOT

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
SPARE_SECONDS = 60


class SwarmFailedError(Exception):
    """Locust did not come to its end."""


@dataclass(frozen=True)
class Request:
    """One request that was answered, or a flow of several: when it began, how long it took, and what was wrong, if anything."""

    at: float
    name: str
    milliseconds: float
    failure: str


@dataclass(frozen=True)
class Users:
    """So many users of some classes, shared out evenly; together they may create `quota` tasks, or any number of them."""

    classes: Sequence[str]
    count: int
    seconds: int
    quota: int = 0


class Swarm:
    """Users against the server on that port; each run leaves locust's own report in `folder`."""

    def __init__(self, port: int, token_file: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._port = port
        self._token_file = token_file
        self._folder = folder

    def send(self, name: str, users: Users) -> list[Request]:
        """All requests, in the order in which they began. Raises SwarmFailedError."""
        requests = self._folder / f"{name}.requests.json"
        options = {
            "--host": f"http://127.0.0.1:{self._port}",
            "--users": users.count,
            "--spawn-rate": users.count,
            "--run-time": f"{users.seconds}s",
            "--stop-timeout": 10,
            "--exit-code-on-error": 0,
            "--html": self._folder / f"{name}.html",
            "--token-file": self._token_file,
            "--quota": users.quota,
            "--requests-file": requests,
        }
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
        command += [str(part) for option in options.items() for part in option]
        with (self._folder / f"{name}.log").open("wb") as log:
            done = subprocess.run(
                [*command, *users.classes],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=users.seconds + SPARE_SECONDS,
            )
        if done.returncode or not requests.exists():
            raise SwarmFailedError(f"locust ended with {done.returncode}; see {self._folder / name}.log")
        return sorted((Request(*each) for each in json.loads(requests.read_text())), key=lambda request: request.at)


def p(share: float, requests: Iterable[Request]) -> float:
    """A percentile of how long they took, in milliseconds."""
    return percentile([request.milliseconds for request in requests], share)
