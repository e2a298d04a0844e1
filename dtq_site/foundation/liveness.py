"""Whether a process without a port is alive: a file that it keeps fresh while all of its loops turn.

    dtq-healthcheck FILE        exit code 0: it is alive; 1: it is stuck, or not there, and a line says why

A loop is stuck when one round of it takes longer than anything that it does may take, time-outs included. Rounds that fail are
rounds: a worker that cannot reach its server turns, and to restart it would only lose what it holds. A process that is
suspended, or hangs as a whole, says nothing, and its file grows old.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from dtq_site.foundation.clock import elapsed_clock, host_now

PERIOD_SECONDS = 1.0
FRESH_SECONDS = 15.0
"""How old the file of a living process may be: processes that share a busy machine are late at times."""

ALIVE = "alive"


class LivenessFile:
    """The file of this process, which `refresh` keeps up to date; without a path there is none.

    `unwritable` is told once when it cannot be written, and once more when that happens anew.
    """

    def __init__(self, path: str, unwritable: Callable[[OSError], None]) -> None:
        self._path = Path(path) if path else None
        self._unwritable = unwritable
        self._written: str | None = None
        self._is_failing = False
        self._due_at = 0.0

    def refresh(self, stuck: Callable[[], Sequence[str]]) -> None:
        """Say that the process is alive, or what of it is stuck; may be called as often as one likes. Never raises."""
        if self._path is None or elapsed_clock() < self._due_at:
            return
        self._due_at = elapsed_clock() + PERIOD_SECONDS
        names = stuck()
        try:
            self._write(f"stuck: {', '.join(names)}" if names else ALIVE, self._path)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._unwritable(error)
            self._is_failing = True

    def _write(self, said: str, path: Path) -> None:
        """A word that has not changed takes no room: a full disk must not make a process look dead."""
        if said == self._written:
            with suppress(FileNotFoundError):
                os.utime(path)
                return
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(f"{said}\n")
        fresh.replace(path)
        self._written = said

    def remove(self) -> None:
        """The process ends in order."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def verdict(path: Path) -> str:
    """ALIVE, or what is wrong with the process whose file that is."""
    try:
        said, written_at = path.read_text().strip(), path.stat().st_mtime
    except OSError as error:
        return f"{path}: {error.strerror}"
    age = host_now().timestamp() - written_at
    return said if age <= FRESH_SECONDS else f"{path} is {age:.0f} s old: the process is suspended, hangs, or has died"


def main(arguments: Sequence[str] | None = None) -> None:
    """End with exit code 0 if the process is alive, else with 1 and a line."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0].startswith("-"):
        sys.exit("usage: dtq-healthcheck FILE\n\nFILE is what --health-file or DTQ_HEALTH_FILE of the process names.")
    found = verdict(Path(given[0]))
    if found != ALIVE:
        sys.exit(f"dtq: {found}")


if __name__ == "__main__":
    main()
