"""What the kernel says about processes: the CPU time that they used and the memory that they hold."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of their children that have ended."""
    return sum(_cpu_ticks(pid) for pid in pids) / _TICKS_PER_SECOND


def pss_mib(pids: Iterable[int]) -> float:
    """Their memory, a page that several processes share counted in equal parts (PSS)."""
    return sum(_pss_bytes(pid) for pid in pids) / _MIB


class PeakMemory:
    """Looks ten times a second, in a thread, how much memory some processes hold; `mib` is the most that was seen."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self.mib = 0.0
        self._pids = pids
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.mib = max(self.mib, pss_mib(self._pids()))
            self._ended.wait(0.1)


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return 0
    return sum(int(field) for field in fields[11:15])


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
