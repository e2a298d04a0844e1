"""Runs handlers: plain ones on a pool of threads, async ones on one event loop, each within its time limit.

There are so many slots, whichever kind takes them. What was claimed beyond the slots waits in line; the line is short, and
what waits too long is withdrawn and given back (see `look_ahead.py`).
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dtq_site.foundation import strict_json
from dtq_site.foundation.clock import elapsed_clock, host_now
from dtq_site.foundation.observer import Observer
from tasks.domain.outcome import Outcome, OutcomeKind
from tasks.handling import port, registry
from tasks.handling.context import TaskContext
from tasks.handling.errors import Discard, PayloadMismatch, Retry, TaskCancelled, TimeLimitExceeded
from tasks.handling.registry import Handler
from workers.runtime.attempt import Attempt, HeldAttempts
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
        self._lock = threading.Lock()
        self._free = slots
        self._line: deque[Attempt] = deque()
        self._runs: dict[Attempt, Run] = {}
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="handler")
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, name="async handlers", daemon=True)
        self._loop_thread.start()

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Run the attempts' handlers, in this order, as slots allow. The attempts are held already."""
        with self._lock:
            self._line.extend(attempts)
            chosen = [self._line.popleft() for _ in range(min(self._free, len(self._line)))]
            self._free -= len(chosen)
        for attempt in chosen:
            self._launch(attempt)

    @property
    def waiting(self) -> int:
        """How many attempts wait in line."""
        return len(self._line)

    def withdraw(self, waiting_seconds: float) -> list[Attempt]:
        """Take back those that have waited in line that long; they will not be started."""
        before = elapsed_clock() - waiting_seconds
        with self._lock:
            withdrawn = [attempt for attempt in self._line if attempt.claimed_at <= before]
            for attempt in withdrawn:
                self._line.remove(attempt)
        return withdrawn

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
            self._pool.submit(self._run_sync, attempt, handler)

    def _next(self) -> Attempt | None:
        """The next attempt for a slot that has just become free; None leaves the slot free."""
        with self._lock:
            attempt = self._line.popleft() if self._line else None
            self._free += attempt is None
            low = len(self._line) <= self.low_water
        if low:
            self._running_low()
        return attempt

    # --- one attempt -----------------------------------------------------------------------------------------------

    def _run_sync(self, attempt: Attempt, handler: Handler[..., Any] | None) -> None:
        self._runs[attempt] = run = ThreadRun()
        attempt.started_at = elapsed_clock()
        sink = Sink(attempt, self._transport, self._reporter)
        with port.submitting(sink.enqueue_many):
            outcome = self._outcome_of(attempt, lambda: run.call(lambda: _call(handler, attempt, sink)))
        self._transport.after_work()
        self._end(attempt, outcome, sink)

    async def _run_async(self, attempt: Attempt, handler: Handler[..., Any]) -> None:
        self._runs[attempt] = run = AsyncRun(self._loop)
        attempt.started_at = elapsed_clock()
        sink = Sink(attempt, self._transport, self._reporter)
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

        def ended(kind: OutcomeKind, **more: Any) -> Outcome:
            return Outcome(attempt.lease, kind, attempt.running_seconds, **more)

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

    def _end(self, attempt: Attempt, outcome: Outcome | None, sink: Sink) -> None:
        """Hand the outcome over first: who finds all attempts finished may rely on the reporter having what they ended in."""
        if outcome is not None and outcome.error:
            sink.log("error", outcome.error)
        if attempt.cancelled or outcome is None:
            self._reporter.stopped(attempt.lease)
        else:
            self.run_times.add(outcome.run_seconds)
            self._reporter.outcome(outcome)
        self._runs.pop(attempt, None)
        self._held.finish(attempt)
        following = self._next()
        if following is not None:
            self._launch(following)


def _call(handler: Handler[..., Any] | None, attempt: Attempt, sink: Sink) -> Any:
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
