"""What a running handler says of itself, on its way to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.errors import PayloadTooLarge
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.domain.outcome import clipped
from tasks.handling.errors import Discard
from tasks.handling.port import EnqueueRequest
from workers.runtime.attempt import Attempt
from workers.runtime.reporter import Reporter
from workers.transports.base import Note, Transport, Unreachable

Answer = TypeVar("Answer")

MOST_LINES = 1000


class Sink:
    """A ContextSink for one attempt. `aside` runs what must not run on an event loop's thread."""

    def __init__(self, attempt: Attempt, transport: Transport, reporter: Reporter, aside: Executor) -> None:
        self._attempt = attempt
        self._transport = transport
        self._reporter = reporter
        self._aside = aside
        self._timer = LeaseTimer()
        self._lines = 0
        self._dropped = 0

    def log(self, level: str, message: str) -> None:
        """See ContextSink. Of an attempt with very many lines the first are kept, and how many there were beside them."""
        if self._lines >= MOST_LINES or not self._reporter.has_room:
            self._dropped += 1
        else:
            self._note(level, message)

    def close(self, error: str) -> None:
        """Add what is always kept: how many lines were dropped, and the error."""
        if self._dropped:
            self._note("warning", f"{self._dropped} further lines were dropped")
        if error:
            self._note("error", error)

    def _note(self, level: str, message: str) -> None:
        self._lines += 1
        self._reporter.note(Note(self._attempt.lease, self._attempt.task.attempt, self._lines, level, clipped(message)))

    def progress(self, percent: float) -> None:
        """See ContextSink."""
        self._reporter.progress(self._attempt.lease, round(percent))

    def is_cancelled(self) -> bool:
        """See ContextSink."""
        return self._attempt.to_end

    def lease_is_valid(self) -> bool:
        """See ContextSink."""
        return self._attempt.lease_is_valid(self._timer)

    def take_lock(self, name: str) -> Future[LockAnswer]:
        """See LockSink."""
        return self._submit(self._take_lock, name)

    def _take_lock(self, name: str) -> LockAnswer:
        try:
            return self._transport.take_lock(self._attempt.lease, name)
        except Unreachable:
            return LockAnswer(LockVerdict.BUSY)

    def free_lock(self, name: str) -> Future[None]:
        """See LockSink."""
        return self._submit(self._free_lock, name)

    def _free_lock(self, name: str) -> None:
        with suppress(Unreachable):
            self._transport.free_lock(self._attempt.lease, name)

    def wait_for_lock(self, name: str, seconds: float) -> None:
        """See LockSink."""
        self._transport.wait_for_lock(name, seconds)

    def enqueue(self, request: EnqueueRequest) -> Any:
        """See ContextSink."""
        return self.enqueue_many([request])[0]

    def enqueue_many(self, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """Create tasks in the running task's team."""
        return self._do_off_loop(self._transport.enqueue, self._attempt.task, requests)

    def results(self) -> dict[str, Any]:
        """See ContextSink."""
        try:
            return self._do_off_loop(self._transport.results, self._attempt.task)
        except PayloadTooLarge as error:
            raise Discard(error.message) from None

    def _do_off_loop(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call and wait for it; on a thread beside the event loop when the loop asks."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return call(*arguments)
        return self._submit(call, *arguments).result()

    def _submit(self, call: Callable[..., Answer], *arguments: Any) -> Future[Answer]:
        return self._aside.submit(copy_context().run, self._do_aside, call, *arguments)

    def _do_aside(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        try:
            return call(*arguments)
        finally:
            self._transport.after_work()
