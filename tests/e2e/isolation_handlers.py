"""Handlers that hang, hold the interpreter, or eat memory, for tests of what a worker process may cost."""

from __future__ import annotations

import ctypes
import os
import time

from tasks import task
from tests.e2e.job_handlers import write

_eaten: list[bytes] = []


@task("hold-interpreter")
def hold_interpreter(journal: str, seconds: int) -> str:
    """Sleep without letting any other thread of the process run: a PyDLL keeps the interpreter's lock."""
    write(journal, "start hold")
    ctypes.PyDLL(None).sleep(seconds)
    write(journal, "end hold")
    return "held"


@task("hang", timeout=1, max_retries=0)
def hang(journal: str) -> None:
    """Hang in a call that no exception interrupts."""
    write(journal, "start hang")
    time.sleep(3600)


@task("nap")
def nap(journal: str, word: str, seconds: float = 0) -> int:
    """Write a word, sleep, write it again; returns the process."""
    write(journal, f"start {word}")
    time.sleep(seconds)
    write(journal, f"end {word}")
    return os.getpid()


@task("eat")
def eat(megabytes: int) -> int:
    """Take memory and keep it; returns the process."""
    _eaten.append(os.urandom(megabytes << 20))
    return os.getpid()
