"""Real processes of ours under test: started, watched through their output, ended in every way, and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dtq_site.foundation.processes import dies_with_parent
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


class Process:
    """One running program in a session of its own; what it writes is in `output`."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
        self.command = list(command)
        self._log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
                preexec_fn=dies_with_parent(),
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def output(self) -> str:
        """Everything that it and its children have written so far."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def wait_for(self, pattern: str, timeout_seconds: float = 30.0) -> re.Match[str]:
        """Wait until its output matches the regular expression; fails at once if it ends without."""

        def found() -> re.Match[str] | None:
            ended = not self.running  # read before the output, so that its last words count
            match = re.search(pattern, self.output, re.MULTILINE)
            if match is None and ended:
                raise RuntimeError(
                    f"{self.command} ended with {self._popen.returncode} and no {pattern!r}:\n{self.output}"
                )
            return match

        try:
            match = eventually(found, timeout_seconds)
        except AssertionError:
            raise AssertionError(
                f"{self.command} did not write {pattern!r} in {timeout_seconds} s:\n{self.output}"
            ) from None
        assert match is not None
        return match

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """kill -9 this process alone, and wait for its end."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self, timeout_seconds: float = 30.0) -> int:
        """SIGTERM, then the exit code."""
        self._popen.terminate()
        return self.wait(timeout_seconds)

    def wait(self, timeout_seconds: float = 30.0) -> int:
        """The exit code, once it has ended."""
        try:
            return self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} did not end in {timeout_seconds} s:\n{self.output}") from None

    def members(self) -> list[int]:
        """The living processes of its session: itself, its children, and theirs."""
        return sorted(pid for pid in _all_pids() if _session_of(pid) == self.pid)

    def workers(self) -> list[int]:
        """Those of its processes that run handlers."""
        return [pid for pid in self.members() if _name_of(pid) == "dtq worker"]

    def keepers(self) -> list[int]:
        """Those of its processes that keep leases."""
        return [pid for pid in self.members() if _name_of(pid) == "dtq keeper"]

    def clear_away(self) -> None:
        """End whatever is left of its session."""
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._popen.wait()
        eventually(lambda: not self.members())


class Processes:
    """Starts `manage.py` commands against the run's servers; ends them all after the test."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = dict(environment)
        self._folder = folder
        self._started: list[Process] = []

    def manage(self, command: str, *arguments: str, **variables: str) -> Process:
        """Start `manage.py command arguments…`, with `variables` added to its environment."""
        return self.start([sys.executable, str(ROOT / "manage.py"), command, *arguments], **variables)

    def start(self, command: Sequence[str], **variables: str) -> Process:
        """Start any program, with `variables` added to its environment."""
        log = self._folder / f"process-{len(self._started)}.log"
        process = Process(command, environment=self._environment | {"PYTHONUNBUFFERED": "1"} | variables, log=log)
        self._started.append(process)
        return process

    def workers(self) -> list[int]:
        """Those of its processes that run handlers."""
        return [pid for pid in self.members() if _name_of(pid) == "dtq worker"]

    def keepers(self) -> list[int]:
        """Those of its processes that keep leases."""
        return [pid for pid in self.members() if _name_of(pid) == "dtq keeper"]

    def clear_away(self) -> None:
        """End whatever is left of them."""
        for process in self._started:
            process.clear_away()


def holding_processes(folder: Path) -> dict[int, str]:
    """The command line of every living process that has a file below `folder` open, or names it."""
    found = {}
    for pid in _all_pids():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            files = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if pid != os.getpid() and (str(folder) in line or any(file.startswith(f"{folder}/") for file in files)):
            found[pid] = line
    return found


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _session_of(pid: int) -> int | None:
    try:
        state, _parent, _group, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(session)
