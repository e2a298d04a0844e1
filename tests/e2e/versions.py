"""A version of DTQ in a folder of its own, and its processes; several versions may share one database, as in an upgrade."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.chaos.evidence import Exit
from tests.support.processes import Process
from tests.support.releases import Release
from tests.support.servers import free_port
from tests.support.sources import PACKAGES, ROOT
from tests.support.waiting import eventually

CODE = (*PACKAGES, "manage.py", "templates")


class Version:
    """The code in `folder`, with the tests and handlers of this run; its processes are started with `environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        (folder / "tests").symlink_to(ROOT / "tests")
        (folder / "logs").mkdir()
        self._folder = folder
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._processes: dict[str, Process] = {}
        self.in_service: list[str] = []
        self.port = 0

    @classmethod
    def of(cls, release: Release, folder: Path, environment: Mapping[str, str]) -> Version:
        """The code of a release."""
        release.check_out(CODE, folder)
        return cls(folder, environment)

    @classmethod
    def present(cls, folder: Path, environment: Mapping[str, str]) -> Version:
        """The code that is under test."""
        for name in PACKAGES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "templates", folder / "templates")
        shutil.copy(ROOT / "manage.py", folder)
        return cls(folder, environment)

    def add_migration(self, app: str, name: str, text: str) -> None:
        """Have one more migration, behind the last one of that app."""
        folder = self._folder / app / "migrations"
        last = max(path.stem for path in folder.glob("[0-9]*.py"))
        (folder / f"{name}.py").write_text(text.format(last=last))

    def run(self, *arguments: str) -> str:
        """The output of one of its commands, which must succeed."""
        process = self._start(f"{arguments[0]}-{len(self._processes)}", *arguments)
        assert process.wait(180) == 0, process.output
        return process.output

    def start(self, *worker_options: str) -> None:
        """Start an API process, a worker with these options, and a scheduler; ready when this returns."""
        self.port = free_port()
        serve = ("serve", "--port", str(self.port), "--processes", "1")
        commands = {"api": serve, "worker": ("runworker", *worker_options), "scheduler": ("runscheduler",)}
        turn = len(self._processes)
        self.in_service = [f"{name}-{turn}" for name in commands]
        for name, arguments in zip(self.in_service, commands.values(), strict=True):
            self._start(name, *arguments)
        eventually(self._answers, 60)
        self._processes[self.in_service[1]].wait_for("worker.ready", 60)
        self._processes[self.in_service[2]].wait_for("scheduler.ready", 60)

    def start_remote_worker(self, *options: str) -> Process:
        """Start one that is ready when this returns. It is none of those that `retire` ends."""
        worker = self._start(f"remote-{len(self._processes)}", "runworker", *options)
        worker.wait_for("worker.ready", 60)
        return worker

    def retire(self) -> None:
        """End API, worker and scheduler as an orchestrator does: SIGTERM, and time to finish."""
        ending = [self._processes[name] for name in self.in_service]
        assert [process.terminate(60) for process in ending] == [0] * len(ending)
        self.in_service = []

    def exits(self) -> list[Exit]:
        """How all its processes have ended."""
        return [Exit(f"{self._folder.name} {name}", p.wait(), p.output, True) for name, p in self._processes.items()]

    def clear_away(self) -> None:
        """End whatever is left."""
        for process in self._processes.values():
            process.clear_away()

    def _start(self, name: str, *arguments: str) -> Process:
        command = [sys.executable, str(self._folder / "manage.py"), *arguments]
        log = self._folder / "logs" / f"{name}.log"
        self._processes[name] = Process(command, environment=self._environment, log=log, cwd=self._folder)
        return self._processes[name]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=10).is_success
        except httpx.TransportError:
            return False
