"""Running a handler without a worker: a context whose sink keeps what the handler says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from dtq_site.foundation.clock import elapsed_clock
from tasks import TaskContext
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.handling.port import EnqueueRequest

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


class RecordingSink:
    """`told` has everything in order; `cancelled` and `leased` are what the test wants them to be.

    `locks` are the answers to the next tries to take one; after them each is taken, under the number 1.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.cancelled = False
        self.leased = True
        self.locks: list[LockAnswer] = []

    def log(self, level: str, message: str) -> None:
        self.told.append((level, message))

    def progress(self, percent: float) -> None:
        self.told.append(percent)

    def is_cancelled(self) -> bool:
        return self.cancelled

    def lease_is_valid(self) -> bool:
        return self.leased

    def take_lock(self, name: str) -> Future[LockAnswer]:
        self.told.append(f"take {name}")
        answer: Future[LockAnswer] = Future()
        answer.set_result(self.locks.pop(0) if self.locks else LockAnswer(LockVerdict.TAKEN, 1))
        return answer

    def wait_for_lock(self, name: str, seconds: float) -> None:
        self.told.append(f"wait {seconds:g} s for {name}")

    def free_lock(self, name: str) -> Future[None]:
        self.told.append(f"free {name}")
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def enqueue(self, request: EnqueueRequest) -> str:
        self.told.append(request)
        return "made"

    def results(self) -> dict[str, Any]:
        self.told.append("results")
        return {"fetch-page": 3, "fetch-page-2": 4}

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
    lock: str | None = None,
    lock_fencing_number: int = 0,
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
        lock=lock,
        lock_fencing_number=lock_fencing_number,
        elapsed=elapsed,
    )
