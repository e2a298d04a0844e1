"""Several API processes behind one port: the parent listens, its children answer on the socket that they inherit.

The kernel hands each connection to a child that is free to take it, so the children need not know of one another, and while one
is replaced its share waits or goes to the others. The parent accepts nothing and has one thread.
"""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dtq_site.foundation.backoff import spread
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.processes import dies_with_parent

LEVELS = {"server.died": "error", "servers.killed": "warning"}
"""How loud the events are in the log."""

HEALTHY_SECONDS = 10.0
"""A process that ran for so long is replaced at once."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 30.0

DRAIN_SECONDS = 10.0
"""For so long requests that are under way may go on in a process that is to end."""

GRACE_SECONDS = 2 * DRAIN_SECONDS
"""What has not ended by then is killed."""

_ENDINGS = {signal.SIGTERM, signal.SIGINT}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError.

    IPv4 only: Daphne takes any inherited socket for one, and would misread the addresses of clients.
    """
    return socket.create_server((host, port), family=socket.AF_INET, backlog=socket.SOMAXCONN)


@dataclass
class _Slot:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0


class ServerGroup:
    """Runs `count` processes of `command`, in `folder`, each of which inherits the listening socket under its number.

    Every one is in a process group of its own, so that a Ctrl-C reaches the parent alone.
    """

    def __init__(
        self, observer: Observer, command: Sequence[str], listening: socket.socket, *, count: int, folder: Path
    ) -> None:
        self._observer = observer
        self._command = command
        self._listening = listening
        self._folder = folder
        self._slots = [_Slot(number) for number in range(1, count + 1)]
        # A SimpleQueue, because a signal handler may put while the same thread is inside `get`.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self) -> int:
        """Keep all running until SIGTERM or SIGINT, and leave none; a second signal does not wait for them to end.

        Returns the exit code: 0 all have ended by themselves, 1 some had to be killed.
        """
        for number in (*_ENDINGS, signal.SIGCHLD):
            signal.signal(number, self._note)
        try:
            while self._next(self._tend()) not in _ENDINGS:
                pass
            return self._end()
        finally:
            for process in self._living():
                process.kill()
                process.wait()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _next(self, seconds: float | None) -> int | None:
        """The next signal, or None if there is none for so long."""
        try:
            return self._signals.get(timeout=seconds)
        except queue.Empty:
            return None

    def _tend(self) -> float | None:
        """Bury who has ended, start who is due; returns the seconds until somebody else is."""
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._bury(slot, slot.process)
            if slot.process is None and slot.start_at <= elapsed_clock():
                self._start(slot)
        pauses = [slot.start_at - elapsed_clock() for slot in self._slots if slot.process is None]
        return max(min(pauses), 0.0) if pauses else None

    def _start(self, slot: _Slot) -> None:
        slot.started_at = elapsed_clock()
        slot.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            pass_fds=[self._listening.fileno()],
            preexec_fn=dies_with_parent(),
            process_group=0,
        )
        self._observer.emit("server.started", slot=slot.number, pid=slot.process.pid)

    def _bury(self, slot: _Slot, process: subprocess.Popen[bytes]) -> None:
        slot.process = None
        slot.failures = 0 if elapsed_clock() - slot.started_at > HEALTHY_SECONDS else slot.failures + 1
        pause = _pause_after(slot.failures)
        slot.start_at = elapsed_clock() + pause
        self._observer.emit(
            "server.died",
            slot=slot.number,
            pid=process.pid,
            exit_code=process.returncode,
            replaced_in_seconds=round(pause, 2),
        )

    def _end(self) -> int:
        self._listening.close()
        for process in self._living():
            process.terminate()
        kill_at = elapsed_clock() + GRACE_SECONDS
        while living := self._living():
            left = kill_at - elapsed_clock()
            if left <= 0 or self._next(left) in _ENDINGS:
                self._observer.emit("servers.killed", pids=[process.pid for process in living])
                return 1
        return 0

    def _living(self) -> list[subprocess.Popen[bytes]]:
        processes = [slot.process for slot in self._slots if slot.process is not None]
        return [process for process in processes if process.poll() is None]


def _pause_after(failures: int) -> float:
    if not failures:
        return 0.0
    return spread(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 16)))
