"""One process of the screen: started, read, ended, and started again when it died."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from dtq_site.development.screen import Screen
from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.processes import dies_with_parent

_STEADY_SECONDS = 10.0


class Child:
    """A process that is meant to run until the screen ends. `tend` it often, from the thread that started it.

    It is in a session of its own, so that a Ctrl-C reaches the parent alone, which ends its children in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        screen: Screen,
        grace_seconds: float,
        clock: Callable[[], float] = elapsed_clock,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._screen = screen
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._started_at = 0.0
        self._start_at: float | None = None
        self._kill_at: float | None = None
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return self._process is not None

    def start(self) -> None:
        """Start the process."""
        self._start_at = self._kill_at = None
        self._started_at = self._clock()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            text=True,
            errors="replace",
            preexec_fn=dies_with_parent(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._copy_lines, args=[self._process], daemon=True)
        self._reader.start()

    def restart(self) -> None:
        """Have it run the present code: end it in an orderly way, and start it as soon as it has ended."""
        self._failures = 0
        self._start_at = self._clock()
        self.stop()

    def stop(self) -> None:
        """Ask the process to end; after the grace period `tend` kills it."""
        if self._process is not None and self._kill_at is None:
            self._kill_at = self._clock() + self._grace_seconds
            self._process.terminate()

    def kill(self) -> None:
        """End the process now."""
        if self._process is not None:
            self._process.kill()

    def tend(self, *, keep: bool = True) -> None:
        """Notice what has happened and do what is due. With `keep` false, a process that has ended stays ended."""
        if self._process is not None and self._process.poll() is not None:
            self._bury(self._process)
        if self._process is not None and self._kill_at is not None and self._clock() >= self._kill_at:
            self._screen.say(f"{self.name} has not ended in {self._grace_seconds:.0f} s and is killed")
            self._kill_at = None
            self._process.kill()
        if keep and self._process is None and self._start_at is not None and self._clock() >= self._start_at:
            self.start()

    def _bury(self, process: subprocess.Popen[str]) -> None:
        assert self._reader is not None
        self._reader.join(1)  # a grandchild may keep the pipe open; its lines are not worth a wait
        self._process = None
        wanted = self._kill_at is not None or self._start_at is not None
        self._kill_at = None
        if wanted:
            return
        steady = self._clock() - self._started_at >= _STEADY_SECONDS
        self._failures = 1 if steady else self._failures + 1
        pause = full_jitter(self._failures, base_seconds=1.0, cap_seconds=15.0)
        self._screen.say(f"{self.name} ended with {_ending(process.returncode)}; it starts again in {pause:.1f} s")
        self._start_at = self._clock() + pause

    def _copy_lines(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._screen.line(self.name, line.rstrip("\n"))


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"
