"""What a running handler knows of its attempt, and how it speaks while it runs.

The executor gives the facts and a sink; this module adds the rules: what is a checkpoint and when it ends the attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from dtq_site.foundation.clock import elapsed_clock
from tasks.domain.locks import LOCK_NAMES
from tasks.handling.errors import TaskCancelled, TimeLimitExceeded
from tasks.handling.lock_request import LockRequest, LockSink
from tasks.handling.port import EnqueueRequest
from tasks.handling.registry import lookup

LEVELS = ("debug", "info", "warning", "error")


class ContextSink(LockSink, Protocol):
    """What the executor does for a context. Called from the handler's thread, for an async one from its event loop."""

    def log(self, level: str, message: str) -> None:
        """Keep one line of the task's log; must not block."""

    def progress(self, percent: float) -> None:
        """Keep how far the task is, 0 to 100; must not block."""

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end: the task was cancelled or is another worker's now. Must not block."""

    def enqueue(self, request: EnqueueRequest) -> Any:
        """Create a task in the running task's team and return it."""

    def results(self) -> dict[str, Any]:
        """What those tasks have returned on which the running one depends."""


class TaskContext:
    """One attempt, as its handler sees it. Speaking (`log`, `progress`, `enqueue`) is a `checkpoint` too.

    A lease that cannot be trusted ends nothing: an offline worker goes on with what it holds. Look at `lease_valid`
    before a step that must not happen twice, or hand `fencing_token` to the system that does the step.
    """

    def __init__(
        self,
        *,
        task_id: str,
        name: str,
        attempt: int,
        fencing_token: int,
        timeout_seconds: float,
        started_at: datetime,
        sink: ContextSink,
        lock: str | None = None,
        lock_fencing_number: int = 0,
        elapsed: Callable[[], float] = elapsed_clock,
    ) -> None:
        self.task_id = task_id
        self.name = name
        self.attempt = attempt
        self.fencing_token = fencing_token
        self.deadline = started_at.astimezone(UTC) + timedelta(seconds=timeout_seconds)
        self.lock_fencing_number = lock_fencing_number if lock is not None else None
        self._locks = set() if lock is None else {lock}
        self._results: dict[str, Any] | None = None
        self._sink = sink
        self._elapsed = elapsed
        self._ends_at = elapsed() + timeout_seconds

    @property
    def remaining_seconds(self) -> float:
        """Seconds until the deadline, measured on a clock that nobody sets; negative past it."""
        return self._ends_at - self._elapsed()

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is to end because the task was cancelled or is another worker's now."""
        return self._sink.is_cancelled()

    @property
    def lease_valid(self) -> bool:
        """Whether this worker still knows that nobody else may run the task."""
        return self._sink.lease_is_valid()

    def checkpoint(self) -> None:
        """Return if the attempt may go on. Raises TaskCancelled or TimeLimitExceeded."""
        if self.cancelled:
            raise TaskCancelled
        if self.remaining_seconds <= 0:
            raise TimeLimitExceeded

    def log(self, message: object, level: str = "info") -> None:
        """Add a line to the task's log, then `checkpoint`. Raises ValueError for a level that is not known."""
        if level not in LEVELS:
            raise ValueError(f"{level!r} is no level: use one of {', '.join(LEVELS)}")
        self._sink.log(level, str(message))
        self.checkpoint()

    def progress(self, percent: float) -> None:
        """Tell how far the task is, then `checkpoint`. Raises ValueError unless `percent` is from 0 to 100."""
        if not 0 <= percent <= 100:
            raise ValueError(f"progress is from 0 to 100, not {percent!r}")
        self._sink.progress(percent)
        self.checkpoint()

    @property
    def results(self) -> dict[str, Any]:
        """What the tasks that this one depends on have returned, by their keys, else by their ids, in their order.

        Read at the first look, which is a `checkpoint`. Those that did not complete are not in it. Raises Discard if they are
        too large together.
        """
        if self._results is None:
            self.checkpoint()
            self._results = self._sink.results()
        return self._results

    def lock(self, name: str, timeout: float = 0.0) -> LockRequest:
        """A lock for a ``with`` or ``async with`` block, which gets a HeldLock. At most one attempt holds it at a time.

        The block is entered within `timeout` seconds, else LockUnavailable is raised; 0 tries once. Waiting is a
        `checkpoint`. Raises BadInput for what can be no lock's name.
        """
        if not timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
        return LockRequest(
            LOCK_NAMES.check_name(name), timeout, self._sink, self._locks, self.checkpoint, self._elapsed
        )

    def enqueue(self, name: str, payload: dict[str, Any] | None = None, **options: Any) -> Any:
        """Create a task in this task's team and return it, unless the attempt is to end (`checkpoint`).

        `options` are those of `.options(…)`. Raises PayloadMismatch if this process knows the handler and the payload
        does not fit it. A repeated attempt enqueues again, unless an `idempotency_key` made of `task_id` prevents it.
        """
        request = EnqueueRequest(name, dict(payload or {}), **options)
        handler = lookup(name)
        if handler is not None:
            handler.check(request.payload)
        self.checkpoint()
        return self._sink.enqueue(request)
