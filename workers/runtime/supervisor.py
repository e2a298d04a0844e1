"""Keeps a number of worker processes alive: replaces a dead one, passes signals on, gives back what a forced end left.

It forks, so it must have no threads. When handlers have to be ended it is their process that ends; only then, from here,
are their tasks given back: a task is never free while its handler may still run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.processes import dies_with_parent
from tasks.domain.lease import Lease
from workers.runtime.worker import NOTHING_LEFT, Leftover, Worker

EXIT_DRAINED, EXIT_GAVE_BACK = 0, 4
HEALTHY_SECONDS = 10.0
_fork = multiprocessing.get_context("fork")


@dataclass
class _Child:
    slot: int
    process: ForkProcess
    pipe: Connection
    started_at: float = field(default_factory=elapsed_clock)
    left: Leftover = NOTHING_LEFT


class Supervisor:
    """Runs `count` workers, each in a process of its own, until SIGTERM or SIGINT.

    `build` makes the worker of a slot, in its process; `release` gives leases back, in this one; `before_fork` closes what
    a child must not share.
    """

    def __init__(
        self,
        observer: Observer,
        count: int,
        build: Callable[[int], Worker],
        release: Callable[[Sequence[Lease]], None],
        before_fork: Callable[[], None],
    ) -> None:
        self._observer = observer
        self._build = build
        self._release = release
        self._before_fork = before_fork
        self._count = count
        self._children: list[_Child] = []
        self._restarts: list[tuple[float, int]] = []
        self._failures = 0
        self._stopping = False

    def run(self) -> int:
        """Supervise until all has ended; returns the exit code: 0 all drained, 4 running tasks had to be given back."""
        signal.signal(signal.SIGTERM, self._pass_on)
        signal.signal(signal.SIGINT, self._pass_on)
        for slot in range(self._count):
            self._start(slot)
        clean = True
        while self._children or (self._restarts and not self._stopping):
            self._restart_due()
            for child in self._ended(0.2):
                clean &= self._bury(child)
        return EXIT_DRAINED if clean else EXIT_GAVE_BACK

    def _pass_on(self, number: int, frame: Any) -> None:
        self._stopping = True
        for child in self._children:
            if child.process.is_alive() and child.process.pid:
                os.kill(child.process.pid, signal.SIGTERM)

    def _start(self, slot: int) -> None:
        ours, theirs = _fork.Pipe(duplex=False)
        bind = dies_with_parent(signal.SIGTERM)
        process = _fork.Process(target=self._child_main, args=(slot, theirs, bind), name=f"worker {slot}")
        # A signal between fork and the child's own handlers would meet ours, which knows the wrong children.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if not self._stopping:
                self._before_fork()
                process.start()
                self._children.append(_Child(slot, process, ours))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()

    def _child_main(self, slot: int, pipe: Connection, bind: Callable[[], None]) -> None:
        self._children = []
        bind()
        worker = self._build(slot)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the supervisor passes on what counts
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        left = worker.run()
        pipe.send(left)
        pipe.close()
        clean = not (left.running or left.undelivered)
        os._exit(EXIT_DRAINED if clean else EXIT_GAVE_BACK)  # a handler's thread must not outlive this line

    def _ended(self, timeout_seconds: float) -> list[_Child]:
        """The children that have ended, by the kernel's word: a handler's own forks keep sentinels and pipes open."""
        wait([*(child.process.sentinel for child in self._children), *self._open_pipes()], timeout_seconds)
        for child in self._children:
            self._listen(child)
        return [child for child in self._children if not child.process.is_alive()]

    def _open_pipes(self) -> list[Connection]:
        return [child.pipe for child in self._children if not child.pipe.closed]

    @staticmethod
    def _listen(child: _Child) -> None:
        """Take a last word while its sender still waits for us to: a long one does not fit into the pipe."""
        try:
            if not child.pipe.closed and child.pipe.poll():
                child.left = child.pipe.recv()
                child.pipe.close()
        except (EOFError, OSError):
            child.pipe.close()

    def _bury(self, child: _Child) -> bool:
        """Settle what an ended process left; False if it ended, as it was told to, and left something."""
        self._listen(child)
        child.pipe.close()
        self._children.remove(child)
        if child.left.running:
            self._give_back(child.left.running)
        code = child.process.exitcode
        if not self._stopping:
            self._failures = 0 if elapsed_clock() - child.started_at > HEALTHY_SECONDS else self._failures + 1
            pause = full_jitter(self._failures, base_seconds=0.25, cap_seconds=10.0) if self._failures else 0.0
            self._restarts.append((elapsed_clock() + pause, child.slot))
            self._observer.emit(
                "worker.died",
                slot=child.slot,
                pid=child.process.pid,
                exit_code=code,
                replaced_in_seconds=round(pause, 2),
            )
        return code == EXIT_DRAINED or not self._stopping

    def _give_back(self, leases: Sequence[Lease]) -> None:
        try:
            self._release(leases)
        except Exception as error:  # they end by themselves, and the reaper finds them
            self._observer.emit("leases.left", count=len(leases), error=repr(error))

    def _restart_due(self) -> None:
        if self._stopping:
            self._restarts.clear()
        for due, slot in list(self._restarts):
            if due <= elapsed_clock():
                self._restarts.remove((due, slot))
                self._start(slot)


_SIGNALS = {signal.SIGTERM, signal.SIGINT}
