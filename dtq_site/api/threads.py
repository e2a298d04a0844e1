"""The threads on which requests are executed: few, and each keeps its database connection.

Django gives every request a thread of its own under ASGI, where a kept connection would never be used again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.connections import close_broken_connections, has_failed_connections

Answer = TypeVar("Answer")

MAX_IDLE_SECONDS = 60.0


class RequestThreads:
    """Runs jobs of the event loop on a fixed number of threads."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="graphql")
        self._local = threading.local()
        self._last_failure = object()

    async def run(self, job: Callable[[], Answer]) -> Answer:
        """Run `job` on one of the threads, with usable database connections and in a copy of the caller's context; return what it
        returns.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, self._run, job)

    def _run(self, job: Callable[[], Answer]) -> Answer:
        now = elapsed_clock()
        if now - getattr(self._local, "used_at", now) > MAX_IDLE_SECONDS:
            connections.close_all()  # this thread's; a server that restarted meanwhile has cut them without a word
        else:
            # A server that has cut one connection has cut all: one request in vain is enough.
            close_broken_connections(suspects_all=getattr(self._local, "last_failure", None) is not self._last_failure)
        self._local.last_failure = self._last_failure
        try:
            return job()
        finally:
            self._local.used_at = elapsed_clock()
            if has_failed_connections():
                self._last_failure = object()
