"""Keeps a number of worker processes alive, and a keeper beside them: replaces what dies, passes signals on, ends what must.

It forks, so it has no threads and touches no server. When handlers have to be ended it is their process that ends; only
then are their tasks given back or settled, by the keeper: a task is never free while its handler may still run.

Every slot has two tables, so that a process that retires may end its work while its successor is at it already.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import Any

import psutil

from dtq_site.foundation import tracing
from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.liveness import LivenessFile
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.processes import dies_with_parent, name_process
from workers.runtime.held_table import HeldTable, Life
from workers.runtime.keeper import Keeper
from workers.runtime.pulse import Pulse
from workers.runtime.worker import EXIT_DRAINED, EXIT_GAVE_BACK, Worker

HEALTHY_SECONDS = 10.0
LOOK_SECONDS = 0.1
FORCED_SECONDS = 3.0
"""How long processes have to end by themselves after a second signal."""

SLACK_SECONDS = 30.0
"""How much longer than the grace period a drain may take, deliveries and signing off included."""

KEEPER_END_SECONDS = 6.0
"""How long the keeper may take to settle what was left; what it cannot ends with its lease."""

PULSE_SECONDS = 0.5
"""How often the keeper's process notes that it goes on."""

_fork = multiprocessing.get_context("fork")
_SIGNALS = {signal.SIGTERM, signal.SIGINT}


@dataclass
class _Child:
    slot: int
    table: HeldTable
    process: ForkProcess
    started_at: float = field(default_factory=elapsed_clock)
    replaced: bool = False


class Supervisor:
    """Runs `count` workers, each in a process of its own, until SIGTERM or SIGINT.

    `build` makes the worker of a slot, in its process, around its table of `rows`; `build_keeper` makes the keeper of all
    tables, in its own; `before_fork` closes what a child must not share. While all their loops turn, `health_file` says so; a
    loop is stuck when it has not turned for `stuck_after_seconds`.
    """

    def __init__(
        self,
        observer: Observer,
        count: int,
        build: Callable[[int, HeldTable], Worker],
        build_keeper: Callable[[Sequence[HeldTable]], Keeper],
        before_fork: Callable[[], None],
        *,
        rows: int,
        grace_seconds: float,
        health_file: str,
        stuck_after_seconds: float,
    ) -> None:
        self._observer = observer
        self._build = build
        self._build_keeper = build_keeper
        self._before_fork = before_fork
        self._grace_seconds = grace_seconds
        self._tables = [(HeldTable(rows), HeldTable(rows)) for _ in range(count)]
        self._children: list[_Child] = []
        self._keeper: ForkProcess | None = None
        self._alive, self._keeper_hears = _fork.Pipe(duplex=False)[::-1]
        self._keeper_pulse = Pulse()
        self._stuck_after_seconds = stuck_after_seconds
        self._liveness = LivenessFile(
            health_file, lambda error: observer.emit("health.unwritable", file=health_file, error=str(error))
        )
        self._restarts: list[tuple[float, int]] = []
        self._failures = 0
        self._stopping = False
        self._kill_at = float("inf")

    def run(self) -> int:
        """Supervise until all has ended; returns the exit code: 0 all drained, 4 running tasks had to be given back."""
        signal.signal(signal.SIGTERM, self._pass_on)
        signal.signal(signal.SIGINT, self._pass_on)
        gc.collect()
        gc.freeze()  # or the collector of every child writes to the pages that all share, and each gets its own copy
        self._start_keeper()
        for slot in range(len(self._tables)):
            self._start(slot)
        clean = True
        while self._children or (self._restarts and not self._stopping):
            self._liveness.refresh(self._stuck)
            self._look_after_keeper()
            self._replace_retiring()
            self._restart_due()
            self._kill_doomed()
            for child in self._ended():
                clean &= self._bury(child)
        self._end_keeper()
        self._liveness.remove()
        return EXIT_DRAINED if clean else EXIT_GAVE_BACK

    def _pass_on(self, number: int, frame: Any) -> None:
        patience = FORCED_SECONDS if self._stopping else self._grace_seconds + SLACK_SECONDS
        self._stopping = True
        self._kill_at = elapsed_clock() + patience
        for child in self._children:
            if child.process.is_alive() and child.process.pid:
                os.kill(child.process.pid, signal.SIGTERM)

    def _stuck(self) -> list[str]:
        pulses = {f"worker {child.slot + 1}": child.table.pulse for child in self._children} | {
            "keeper": self._keeper_pulse
        }
        return [name for name, pulse in pulses.items() if pulse.late_seconds > self._stuck_after_seconds]

    # --- worker processes ------------------------------------------------------------------------------------------

    def _start(self, slot: int) -> None:
        """Start the process of a slot; later, if neither of its tables is settled yet."""
        table = next((table for table in self._tables[slot] if table.life is Life.NONE), None)
        if table is None:
            self._restarts.append((elapsed_clock() + LOOK_SECONDS, slot))
            return
        bind = dies_with_parent(signal.SIGTERM)
        process = _fork.Process(target=self._child_main, args=(slot, table, bind), name=f"worker {slot}")
        with _signals_held():
            if not self._stopping:
                self._before_fork()
                table.open()
                process.start()
                self._children.append(_Child(slot, table, process))

    def _child_main(self, slot: int, table: HeldTable, bind: Callable[[], None]) -> None:
        self._children = []
        self._alive.close()
        bind()
        name_process("dtq worker")
        table.pid = os.getpid()
        worker = self._build(slot, table)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the supervisor passes on what counts
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        code = worker.run()
        table.drained = True
        tracing.flush()
        os._exit(code)  # a handler's thread must not outlive this line

    def _ended(self) -> list[_Child]:
        """The children that have ended, by the kernel's word: a handler's own forks keep sentinels open."""
        wait([child.process.sentinel for child in self._children], LOOK_SECONDS)
        return [child for child in self._children if not child.process.is_alive()]

    def _bury(self, child: _Child) -> bool:
        """Leave what an ended process held to the keeper; False if it was told to end, and left something."""
        self._children.remove(child)
        code = child.process.exitcode
        in_order = code in (EXIT_DRAINED, EXIT_GAVE_BACK) or (self._stopping and elapsed_clock() > self._kill_at)
        child.table.life = Life.ENDED if in_order else Life.DEAD
        if not self._stopping and not child.replaced:
            self._replace(child, code)
        return code == EXIT_DRAINED or not self._stopping

    def _replace(self, child: _Child, code: int | None) -> None:
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

    def _replace_retiring(self) -> None:
        for child in self._children:
            if child.table.retiring and not child.replaced and not self._stopping:
                child.replaced = True
                self._observer.emit("worker.retires", slot=child.slot, pid=child.process.pid)
                self._restarts.append((0.0, child.slot))

    def _restart_due(self) -> None:
        if self._stopping:
            self._restarts.clear()
        for due, slot in list(self._restarts):
            if due <= elapsed_clock():
                self._restarts.remove((due, slot))
                self._start(slot)

    def _kill_doomed(self) -> None:
        for child in self._children:
            if child.table.doomed or elapsed_clock() > self._kill_at:
                child.process.kill()

    # --- the keeper ------------------------------------------------------------------------------------------------

    def _start_keeper(self) -> None:
        process = _fork.Process(target=self._keeper_main, name="keeper")
        with _signals_held():
            self._before_fork()
            self._keeper_pulse.beat()
            process.start()
        self._keeper = process

    def _look_after_keeper(self) -> None:
        if self._keeper is not None and not self._keeper.is_alive():
            self._observer.emit("keeper.died", pid=self._keeper.pid, exit_code=self._keeper.exitcode)
            self._start_keeper()

    def _end_keeper(self) -> None:
        self._alive.close()
        if self._keeper is not None:
            self._keeper.join(KEEPER_END_SECONDS + 1)
            self._keeper.kill()

    def _keeper_main(self) -> None:
        """Keep until our parent has ended, in whatever way, and all its other children too, and what they left is settled."""
        self._children = []
        self._alive.close()
        name_process("dtq keeper")
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        tables = [table for pair in self._tables for table in pair]
        keeper = self._build_keeper(tables)
        keeper.start()
        while not self._keeper_hears.poll(PULSE_SECONDS):
            self._keeper_pulse.beat([keeper])
        patience = elapsed_clock() + self._grace_seconds + SLACK_SECONDS
        while orphans := [table for table in tables if table.life is Life.ALIVE]:
            for table in orphans:
                _bury_orphan(table, forced=elapsed_clock() > patience)
            time.sleep(LOOK_SECONDS)
        patience = elapsed_clock() + KEEPER_END_SECONDS
        while any(table.life is not Life.NONE for table in tables) and elapsed_clock() < patience:
            time.sleep(0.02)
        os._exit(EXIT_DRAINED)


def _bury_orphan(table: HeldTable, *, forced: bool) -> None:
    try:
        process = psutil.Process(table.pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            if forced:
                process.kill()
            return
    except psutil.NoSuchProcess:
        pass
    table.life = Life.ENDED if table.drained or forced else Life.DEAD


@contextmanager
def _signals_held() -> Iterator[None]:
    """A signal between fork and the child's own handlers would meet ours, which knows the wrong children."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
