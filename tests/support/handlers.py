"""Running a handler without a worker: a context whose sink keeps what the handler says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dtq_site.foundation.clock import elapsed_clock
from tasks import TaskContext
from tasks.handling.port import EnqueueRequest

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


class RecordingSink:
    """`told` has everything in order; `cancelled` and `leased` are what the test wants them to be."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.cancelled = False
        self.leased = True

    def log(self, level: str, message: str) -> None:
        self.told.append((level, message))

    def progress(self, percent: float) -> None:
        self.told.append(percent)

    def is_cancelled(self) -> bool:
        return self.cancelled

    def lease_is_valid(self) -> bool:
        return self.leased

    def enqueue(self, request: EnqueueRequest) -> str:
        self.told.append(request)
        return "made"

    @property
    def requests(self) -> list[EnqueueRequest]:
        """The tasks that were to be created."""
        return [each for each in self.told if isinstance(each, EnqueueRequest)]


def make_context(
    sink: RecordingSink,
    *,
    task_id: str = "0190c2a0-0000-7000-8000-000000000001",
    attempt: int = 1,
    timeout_seconds: float = 60.0,
    started_at: datetime = START,
    elapsed: Callable[[], float] = elapsed_clock,
) -> TaskContext:
    """A context over `sink`; the facts that a test does not care about are made up."""
    return TaskContext(
        task_id=task_id,
        name="made-up",
        attempt=attempt,
        fencing_token=7,
        timeout_seconds=timeout_seconds,
        started_at=started_at,
        sink=sink,
        elapsed=elapsed,
    )
