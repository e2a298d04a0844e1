"""Runs handlers: plain ones on a pool of threads, async ones on one event loop, each within its time limit."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dtq_site.foundation import strict_json
from dtq_site.foundation.clock import LeaseTimer, elapsed_clock, host_now
from dtq_site.foundation.observer import Observer
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.handling import port, registry
from tasks.handling.context import TaskContext
from tasks.handling.errors import Discard, PayloadMismatch, Retry, TaskCancelled, TimeLimitExceeded
from tasks.handling.port import EnqueueRequest
from tasks.handling.registry import Handler
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.reporter import Reporter
from workers.transports.base import Note, Transport

MOST_LINES = 10_000


class Executor:
    """Starts attempts and turns whatever they end in into an outcome."""

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        reporter: Reporter,
        slot_freed: Callable[[], None],
        *,
        slots: int,
    ) -> None:
        self._observer = observer
        self._transport = transport
        self._held = held
        self._reporter = reporter
        self._slot_freed = slot_freed
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="handler")
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, name="async handlers", daemon=True)
        self._loop_thread.start()
        self._running: dict[Attempt, _Run] = {}

    def start(self, attempt: Attempt) -> None:
        """Run the attempt's handler. The attempt is held already."""
        handler = registry.lookup(attempt.task.name)
        if handler is not None and handler.is_async:
            in_loop = _AsyncRun(self._loop)
            self._running[attempt] = in_loop
            asyncio.run_coroutine_threadsafe(self._run_async(attempt, handler, in_loop), self._loop)
        else:
            in_thread = _ThreadRun()
            self._running[attempt] = in_thread
            self._pool.submit(self._run_sync, attempt, handler, in_thread)

    def interrupt(self, attempt: Attempt) -> None:
        """End an attempt that is cancelled, lost or overdue, as far as its kind allows; may be called again and again."""
        run = self._running.get(attempt)
        if run is not None:
            run.interrupt(attempt)

    # --- one attempt -----------------------------------------------------------------------------------------------

    def _run_sync(self, attempt: Attempt, handler: Handler[..., Any] | None, run: _ThreadRun) -> None:
        attempt.started_at = elapsed_clock()
        sink = _Sink(attempt, self._transport, self._reporter)
        with port.submitting(sink.enqueue_many):
            outcome = self._outcome_of(attempt, lambda: run.call(lambda: _call(handler, attempt, sink)))
        self._transport.after_work()
        self._end(attempt, outcome, sink)

    async def _run_async(self, attempt: Attempt, handler: Handler[..., Any], run: _AsyncRun) -> None:
        attempt.started_at = elapsed_clock()
        sink = _Sink(attempt, self._transport, self._reporter)
        run.task = asyncio.current_task()
        caught: BaseException | None = None
        result: Any = None
        with port.submitting(sink.enqueue_many):
            try:
                async with asyncio.timeout(attempt.task.timeout_seconds):
                    result = await _call(handler, attempt, sink)
            except TimeoutError as error:
                caught = TimeLimitExceeded() if attempt.overdue else error
            except asyncio.CancelledError as error:
                caught = TaskCancelled() if attempt.to_end else error
            except BaseException as error:
                caught = error

        def replay() -> Any:
            if caught is not None:
                raise caught
            return result

        self._end(attempt, self._outcome_of(attempt, replay), sink)

    def _outcome_of(self, attempt: Attempt, call: Callable[[], Any]) -> Outcome | None:
        """Call the handler and judge how it ended; None if there is nothing to report."""
        started = attempt.started_at

        def ended(kind: OutcomeKind, **more: Any) -> Outcome:
            return Outcome(attempt.lease, kind, elapsed_clock() - started, **more)

        try:
            result = call()
            strict_json.encode(result)
        except TaskCancelled:
            return None
        except TimeLimitExceeded:
            limit = f"{attempt.task.timeout_seconds:g} s"
            return ended(
                OutcomeKind.FAILED, error=f"TimeLimitExceeded: the attempt ran longer than its limit of {limit}"
            )
        except Retry as asked:
            return ended(OutcomeKind.FAILED, error=_said(asked), retry_delay_seconds=asked.delay_seconds)
        except (Discard, PayloadMismatch) as refused:
            return ended(OutcomeKind.DISCARDED, error=_said(refused))
        except strict_json.NotJSON as error:
            return ended(OutcomeKind.DISCARDED, error=f"result cannot be stored: {error}")
        except BaseException as error:  # SystemExit of a handler ends the attempt, not the worker
            self._observer.emit(
                "handler.raised", task=str(attempt.lease.task_id), name=attempt.task.name, trace=traceback.format_exc()
            )
            return ended(OutcomeKind.FAILED, error=_said(error))
        return ended(OutcomeKind.COMPLETED, result=result)

    def _end(self, attempt: Attempt, outcome: Outcome | None, sink: _Sink) -> None:
        if outcome is not None and outcome.error:
            sink.log("error", outcome.error)
        self._running.pop(attempt, None)
        self._held.finish(attempt)
        self._slot_freed()
        if attempt.cancelled or outcome is None:
            self._reporter.stopped(attempt.lease)
        else:
            self._reporter.outcome(outcome)


def _call(handler: Handler[..., Any] | None, attempt: Attempt, sink: _Sink) -> Any:
    if handler is None:
        raise Retry(reason=f"this worker does not know the handler {attempt.task.name!r}")
    arguments = handler.bind(attempt.task.payload)
    if not handler.takes_context:
        return handler.function(**arguments)
    context = TaskContext(
        task_id=str(attempt.lease.task_id),
        name=attempt.task.name,
        attempt=attempt.task.attempt,
        fencing_token=attempt.lease.fencing_token,
        timeout_seconds=attempt.task.timeout_seconds,
        started_at=host_now(),
        sink=sink,
    )
    return handler.function(context, **arguments)


def _said(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, Retry | Discard | PayloadMismatch):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Run:
    """How one attempt can be ended from outside."""

    def interrupt(self, attempt: Attempt) -> None:
        raise NotImplementedError


class _AsyncRun(_Run):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.task: asyncio.Task[None] | None = None
        self._asked = False

    def interrupt(self, attempt: Attempt) -> None:
        # The time limit is asyncio's own; only cancellation comes from here, and once, so that clean-up can finish.
        if attempt.to_end and self.task is not None and not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self.task.cancel)


class _ThreadRun(_Run):
    """A call on a thread that another thread can end by raising TimeLimitExceeded in it, once and never too late.

    The interpreter delivers such an exception at some later instruction. The lock and `_open` make sure that it is asked for
    only while the handler runs; `call` absorbs one that arrives after the handler's last instruction.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._asked = False

    def call(self, function: Callable[[], Any]) -> Any:
        """Call `function` on this thread, open to interruption until it returns."""
        self._thread = threading.get_ident()
        try:
            try:
                return function()
            finally:
                self._close()
        except TimeLimitExceeded:
            self._close()
            raise

    def _close(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
        if self._asked and thread is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)

    def interrupt(self, attempt: Attempt) -> None:
        # Cancellation waits for the handler's next checkpoint: a thread may hold what only it can put in order.
        if not attempt.overdue:
            return
        with self._lock:
            if self._thread is None or self._asked:
                return
            self._asked = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(TimeLimitExceeded)
            )


class _Sink:
    """What a handler's context does for one attempt."""

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

    def enqueue_many(self, requests: Any) -> list[Any]:
        """Create tasks in the running task's team."""
        return self._transport.enqueue(self._attempt.task, requests)
