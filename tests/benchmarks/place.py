"""Where a run keeps things: one folder that git ignores, held by one benchmark at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "var" / "benchmarks"


class OccupiedError(Exception):
    """Another benchmark is running here; the two would measure each other."""


@contextmanager
def servers_folder() -> Iterator[Path]:
    """An empty folder for the run's servers, on the project's own disk, removed afterwards. Raises OccupiedError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = os.open(FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OccupiedError(OccupiedError.__doc__) from None
    folder = FOLDER / "servers"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
