"""What a running handler says of itself, on its way to the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtq_site.foundation.clock import LeaseTimer
from tasks.handling.port import EnqueueRequest
from workers.runtime.attempt import Attempt
from workers.runtime.reporter import Reporter
from workers.transports.base import Note, Transport

MOST_LINES = 10_000


class Sink:
    """A ContextSink for one attempt."""

    def __init__(self, attempt: Attempt, transport: Transport, reporter: Reporter) -> None:
        self._attempt = attempt
        self._transport = transport
        self._reporter = reporter
        self._timer = LeaseTimer()
        self._lines = 0

    def log(self, level: str, message: str) -> None:
        """See ContextSink."""
        self._lines += 1
        if self._lines <= MOST_LINES:
            self._reporter.note(Note(self._attempt.lease, self._attempt.task.attempt, self._lines, level, message))

    def progress(self, percent: float) -> None:
        """See ContextSink."""
        self._reporter.progress(self._attempt.lease, round(percent))

    def is_cancelled(self) -> bool:
        """See ContextSink."""
        return self._attempt.to_end

    def lease_is_valid(self) -> bool:
        """See ContextSink."""
        return self._attempt.lease_is_valid(self._timer)

    def enqueue(self, request: EnqueueRequest) -> Any:
        """See ContextSink."""
        return self.enqueue_many([request])[0]

    def enqueue_many(self, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """Create tasks in the running task's team."""
        return self._transport.enqueue(self._attempt.task, requests)
