"""Single keys of a terminal, as they are pressed, and the terminal as it was before in the end."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

PressedWithin = Callable[[float], str]
"""Waits up to so many seconds for a key; returns what it sends, or nothing if none was pressed."""

END_OF_INPUT = "\x04"


@contextmanager
def keys() -> Iterator[PressedWithin]:
    """Read standard input key by key, without showing them. Ctrl-C still interrupts."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield partial(_pressed_within, descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pressed_within(descriptor: int, seconds: float) -> str:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    # At once, because a key such as an arrow sends several characters. Not through sys.stdin, which would keep some back.
    return (os.read(descriptor, 32).decode(errors="replace") or END_OF_INPUT) if ready else ""
