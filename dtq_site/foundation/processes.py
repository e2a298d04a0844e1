"""Child processes that never outlive their parent, not even one that was killed with -9."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def dies_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """A function for the child, such as a `preexec_fn`: when the thread that started it ends, the kernel sends it the signal.

    On Linux; elsewhere it does nothing.

    It is the thread that counts, so start such children from one that lives as long as the process.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    libc = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may wait for a lock
    parent = os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), number)

    return bind


def name_process(name: str) -> None:
    """Show this process under a name of at most 15 letters in `ps -o comm` and its kind. On Linux; elsewhere nothing."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
