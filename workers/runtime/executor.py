"""Runs handlers: plain ones on a pool of threads, async ones on one event loop, each within its time limit.

There are so many slots, whichever kind takes them. What was claimed beyond the slots waits in line; the line is short, and
what waits too long is withdrawn and given back (see `look_ahead.py`).
"""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dtq_site.foundation import tracing
from dtq_site.foundation.causes import ActingFor
from dtq_site.foundation.clock import LeaseTimer, host_now
from dtq_site.foundation.observer import Observer
from tasks.domain import spans
from tasks.handling import port, registry
from tasks.handling.context import TaskContext
from tasks.handling.errors import Retry, TaskCancelled, TimeLimitExceeded
from tasks.handling.registry import Handler
from workers.runtime.attempt import Attempt, HeldAttempts
from workers.runtime.ending import judge
from workers.runtime.interruption import AsyncRun, Run, ThreadRun
from workers.runtime.look_ahead import RunTimes
from workers.runtime.reporter import Reporter
from workers.runtime.sink import Sink
from workers.transports.base import Transport


class Executor:
    """Starts attempts as slots allow and turns whatever they end in into an outcome.

    `running_low` is called when a slot was freed and no more than `low_water` attempts wait in line.
    """

    def __init__(
        self,
        observer: Observer,
        transport: Transport,
        held: HeldAttempts,
        reporter: Reporter,
        running_low: Callable[[], None],
        *,
        slots: int,
    ) -> None:
        self._observer = observer
        self._transport = transport
        self._held = held
        self._reporter = reporter
        self._running_low = running_low
        self.run_times = RunTimes()
        self.low_water = 0
        self.ended = 0
        self._timer = LeaseTimer()
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._slots = self._free = slots
        self._runs: dict[Attempt, Run] = {}
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="handler")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._turn_loop, name="async handlers", daemon=True).start()

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Run the attempts' handlers, in this order, as slots allow. The attempts are held already."""
        self._held.line_up(attempts)
        for _ in attempts:
            with self._lock:
                attempt = self._held.next_in_line() if self._free else None
                self._free -= attempt is not None
            if attempt is None:
                return
            self._launch(attempt)

    @property
    def idle(self) -> bool:
        """Whether no slot is taken; the outcomes of all that ran are the reporter's by then."""
        return self._free == self._slots

    def interrupt(self, attempt: Attempt) -> None:
        """End an attempt that is cancelled, lost or overdue, as far as its kind allows; may be called again and again."""
        run = self._runs.get(attempt)
        if run is not None:
            run.interrupt(attempt)

    # --- slots -----------------------------------------------------------------------------------------------------

    def _launch(self, attempt: Attempt) -> None:
        handler = registry.lookup(attempt.task.name)
        if handler is not None and handler.is_async:
            asyncio.run_coroutine_threadsafe(self._run_async(attempt, handler), self._loop)
        else:
            self._pool.submit(self._run_in_turn, attempt, handler)

    def _run_in_turn(self, attempt: Attempt, handler: Handler[..., Any] | None) -> None:
        """Run one plain handler on this thread, and as long as plain ones follow, those too."""
        self._run_sync(attempt, handler)
        while (following := self._following()) is not None:
            handler = registry.lookup(following.task.name)
            if handler is not None and handler.is_async:
                self._launch(following)
                return
            self._run_sync(following, handler)

    def _following(self) -> Attempt | None:
        """The next in line for a slot that has become free; the slot is free if there is none."""
        with self._lock:
            self.ended += 1
            following = self._held.next_in_line()
            self._free += following is None
        if following is None or self._held.waiting <= self.low_water:
            self._running_low()
        return following

    # --- one attempt -----------------------------------------------------------------------------------------------

    def _may_start(self, attempt: Attempt) -> bool:
        """Whether the attempt is still this process's to start. If not, it is given up, unstarted."""
        if not attempt.to_end and attempt.lease_is_valid(self._timer):
            attempt.start()
            return True
        self._reporter.give_up(attempt)
        return False

    def _run_sync(self, attempt: Attempt, handler: Handler[..., Any] | None) -> None:
        if self._may_start(attempt):
            with ActingFor(attempt.task), tracing.span(lambda: spans.processing(attempt.task)) as span:
                self._run_here(attempt, handler, span)

    def _run_here(self, attempt: Attempt, handler: Handler[..., Any] | None, span: tracing.Span) -> None:
        self._runs[attempt] = run = ThreadRun()
        sink = Sink(attempt, self._transport, self._reporter, self._aside)
        result, raised = None, None
        try:
            with port.submitting(sink.enqueue_many):
                result = run.call(lambda: _call(handler, attempt, sink))
        except BaseException as error:  # SystemExit of a handler ends the attempt, not the worker
            raised = error
        if os.getpid() != self._process:
            os._exit(0)  # the handler forked, and this is the copy: the attempt is not its own to end
        self._tidily(self._transport.after_handler)
        self._end(attempt, sink, result, raised, span)

    async def _run_async(self, attempt: Attempt, handler: Handler[..., Any]) -> None:
        if self._may_start(attempt):
            with ActingFor(attempt.task), tracing.span(lambda: spans.processing(attempt.task)) as span:
                await self._run_on_loop(attempt, handler, span)
        following = self._following()
        if following is not None:
            self._launch(following)

    async def _run_on_loop(self, attempt: Attempt, handler: Handler[..., Any], span: tracing.Span) -> None:
        self._runs[attempt] = run = AsyncRun(self._loop)
        run.task = asyncio.current_task()
        sink = Sink(attempt, self._transport, self._reporter, self._aside)
        result: Any = None
        raised: BaseException | None = None
        try:
            with port.submitting(sink.enqueue_many):
                async with asyncio.timeout(attempt.task.timeout_seconds):
                    result = await _call(handler, attempt, sink)
        except TimeoutError as error:
            raised = TimeLimitExceeded() if attempt.overdue else error
        except asyncio.CancelledError as error:
            raised = TaskCancelled() if attempt.to_end else error
        except BaseException as error:
            raised = error
        try:
            await self._transport.after_async_handler()
        except BaseException as error:  # a second cancellation may arrive here too
            self._observer.emit("handler.untidy", task=str(attempt.lease.task_id), error=repr(error))
        self._end(attempt, sink, result, raised, span)

    def _end(self, attempt: Attempt, sink: Sink, result: Any, raised: BaseException | None, span: tracing.Span) -> None:
        """Hand the outcome over. The slot stays taken until then: who finds all free may rely on the reporter having all."""
        if raised is not None:
            span.fail(type(raised).__name__)
            self._tidily(lambda: self._tell(attempt, raised))
        outcome = judge(attempt.task, attempt.running_seconds, result=result, raised=raised, to_end=attempt.to_end)
        sink.close(outcome.error if outcome else "")
        self._runs.pop(attempt, None)
        self._held.finish(attempt)  # first: once its outcome is taken its row is another attempt's
        if attempt.cancelled:
            self._reporter.stopped(attempt)
        elif outcome is None:
            self._reporter.give_up(attempt)
        else:
            self.run_times.add(outcome.run_seconds)
            self._reporter.outcome(outcome)

    def _tell(self, attempt: Attempt, raised: BaseException) -> None:
        trace = "".join(traceback.format_exception(raised))
        self._observer.emit("handler.raised", task=str(attempt.lease.task_id), name=attempt.task.name, trace=trace)

    def _tidily(self, step: Callable[[], None]) -> None:
        """Do what is not worth an attempt: an error is told and goes no further."""
        try:
            step()
        except Exception as error:
            self._observer.emit("handler.untidy", error=type(error).__name__)

    def _turn_loop(self) -> None:
        """Keep the event loop turning: SystemExit and KeyboardInterrupt of a handler's sub-task fall out of it."""
        while True:
            try:
                self._loop.run_forever()
                return
            except BaseException as error:
                self._observer.emit("handler.untidy", error=type(error).__name__)


def _call(handler: Handler[..., Any] | None, attempt: Attempt, sink: Sink) -> Any:
    if handler is None:
        raise Retry(reason=f"this worker does not know the handler {attempt.task.name!r}")
    arguments = handler.bind(attempt.task.payload)
    if attempt.task.lock is None and handler.lock_of(attempt.task.payload) is not None:
        raise Retry(1, f"the server did not know yet that {handler.name!r} has a lock")
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
        lock=attempt.task.lock,
        lock_fencing_number=attempt.task.lock_fencing_number,
    )
    return handler.function(context, **arguments)
