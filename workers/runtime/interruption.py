"""Ending one attempt from outside: cancelling a coroutine, or raising its time limit in a thread."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Any

from tasks.handling.errors import TimeLimitExceeded
from workers.runtime.attempt import Attempt


class Run:
    """How one attempt can be ended from outside."""

    def interrupt(self, attempt: Attempt) -> None:
        """End the attempt as far as its kind allows; may be called again and again."""
        raise NotImplementedError


class AsyncRun(Run):
    """A coroutine that can be cancelled; its time limit is asyncio's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.task: asyncio.Task[None] | None = None
        self._asked = False

    def interrupt(self, attempt: Attempt) -> None:
        """See Run. Cancels once, so that clean-up can finish."""
        if attempt.to_end and self.task is not None and not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self.task.cancel)


class ThreadRun(Run):
    """A call on a thread that another thread can end by raising TimeLimitExceeded in it, once and never too late.

    The interpreter delivers such an exception at some later instruction. The lock and `_thread` make sure that it is asked
    for only while the handler runs; `call` absorbs one that arrives after the handler's last instruction.
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
        """See Run. Cancellation waits for the handler's next checkpoint: a thread may hold what only it can put in order."""
        if not attempt.overdue:
            return
        with self._lock:
            if self._thread is None or self._asked:
                return
            self._asked = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(TimeLimitExceeded)
            )
