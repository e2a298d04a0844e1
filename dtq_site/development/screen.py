"""One log for several processes: every line begins with the name of the process that wrote it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import TextIO

_COLOURS = ("36", "33", "35", "32", "34")
_OWN = "dtq"


def wants_colours(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether to colour the log: NO_COLOR forbids it, FORCE_COLOR demands it, else a terminal gets it."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_terminal


class Screen:
    """Writes whole lines of several threads to one stream."""

    def __init__(self, stream: TextIO, names: Sequence[str], *, colours: bool) -> None:
        self.colours = colours
        self._stream = stream
        self._lock = threading.Lock()
        width = max(len(name) for name in (*names, _OWN))
        self._prefixes = {
            name: self._prefix(name.ljust(width), colour) for name, colour in zip(names, _COLOURS, strict=False)
        }
        self._prefixes[_OWN] = self._prefix(_OWN.ljust(width), "1")

    def line(self, name: str, text: str) -> None:
        """Write one line of the process `name`."""
        # A terminal that was closed must not keep the children from being ended.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{self._prefixes[name]} {text}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write one or more lines of our own."""
        for each in text.splitlines():
            self.line(_OWN, each)

    def _prefix(self, name: str, colour: str) -> str:
        return f"\x1b[{colour}m{name} |\x1b[0m" if self.colours else f"{name} |"
