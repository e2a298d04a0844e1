"""What handlers and the client write down of what they do: lines of JSON, on disk before the writer goes on.

Each process has a file of its own in the run's folder, so that kill -9 cuts off a last line at most. Times are the host's wall
clock; MariaDB runs on the same host, so those of the rows are of the same clock.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tasks import TaskContext


class Journal:
    """Appends to this process's file in `folder`; a process that was forked meanwhile gets one of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opening = threading.Lock()
        self._opened: tuple[int, int] | None = None

    def write(self, *lines: dict[str, Any]) -> None:
        """Append lines; they are on disk when this returns."""
        if not lines:
            return
        descriptor = self._descriptor()
        os.write(descriptor, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        os.fsync(descriptor)

    def _descriptor(self) -> int:
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                path = self._folder / f"{os.getpid()}-{time.monotonic_ns()}.jsonl"
                self._opened = (os.getpid(), os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            return self._opened[1]


class Witness:
    """One execution, as its handler writes it down."""

    def __init__(self, journal: Journal, context: TaskContext) -> None:
        self._journal = journal
        self._context = context
        self._result: str | None = None

    def see(self, event: str, **facts: Any) -> None:
        """Write that the execution goes on, and whether it trusts its lease.

        The time is read first: a lease that is trusted now has been nobody else's since then.
        """
        at = time.time()
        known = {"task": self._context.task_id, "token": self._context.fencing_token, "at": at}
        self._journal.write({"event": event, **known, "leased": self._context.lease_valid, **facts})

    def result(self, value: str | None = None) -> str:
        """What the handler is to return: by default something that no other execution returns."""
        self._result = value or f"{self._context.fencing_token}:{uuid4().hex[:12]}"
        return self._result

    @contextmanager
    def execution(self) -> Iterator[None]:
        """Write the start and, unless the process dies, the end."""
        self.see("start", attempt=self._context.attempt)
        how = "returned"
        try:
            yield
        except BaseException as error:
            how = type(error).__name__
            raise
        finally:
            self.see("end", how=how, result=self._result if how == "returned" else None)


def read(folder: Path) -> list[dict[str, Any]]:
    """All lines of all processes below `folder`; of one process they are in order. A line that was cut off is left out."""
    lines = []
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                lines.append(json.loads(line))
    return lines
