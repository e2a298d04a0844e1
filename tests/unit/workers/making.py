"""Outcomes, log lines and outbox files, made up."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.handling.port import EnqueueRequest
from workers.offline.folder import OutboxFolder
from workers.offline.rows import Creation
from workers.offline.store import Store
from workers.transports.base import Note

MEGABYTE = 1024 * 1024


def lease(number: int) -> Lease:
    return Lease(UUID(int=number), number, UUID(int=1000 + number))


def outcome(number: int, result: Any = "done", **fields: Any) -> Outcome:
    return Outcome(lease(number), OutcomeKind.COMPLETED, 0.25, **{"result": result, **fields})


def note(number: int, sequence: int = 1, message: str = "said") -> Note:
    return Note(lease(number), 1, sequence, "info", message)


def claimed(number: int, **payload: Any) -> LeasedTask:
    return LeasedTask(lease(number), "job", payload, 1, 60.0, 15.0, False, UUID(int=9))


def creation(key: str, **payload: Any) -> Creation:
    return Creation(EnqueueRequest("job", payload, idempotency_key=key), datetime(2030, 1, 1, 12, tzinfo=UTC), lease(7))


def open_store(path: Path, most_bytes: int = MEGABYTE) -> Store:
    return Store(path, most_bytes)


def make_folder(path: Path, most_bytes: int = MEGABYTE, server: str = "") -> tuple[OutboxFolder, Recorder]:
    """The folder as one process sees it, which may be a worker of that server, and what that tells of it."""
    heard = Recorder()
    return OutboxFolder(Observer(heard), path, most_bytes, server), heard


def files_in(folder: Path) -> list[str]:
    """The files of the outbox in the folder."""
    return sorted(path.name for path in folder.glob("*.sqlite3"))


def in_a_process_that_is_killed(action: Callable[[], object]) -> None:
    """Call `action` in a process of its own, which then ends by kill -9."""

    def act_and_die() -> None:
        action()
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=act_and_die)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
