"""Locks that a handler takes and frees while it runs: ``with context.lock("prices", timeout=5) as held:``, or ``async with``.

The attempt holds such a lock like one that its task names: if it is not freed before, it is with the attempt's lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.handling.errors import LockUnavailable, TaskCancelled

WAIT_SECONDS = 1.0
"""How long one wait lasts: between two a handler looks whether its attempt is to end, and whether a ring was lost."""

_waiting = ThreadPoolExecutor(64, thread_name_prefix="lock waiters")


class LockSink(Protocol):
    """What the executor does about locks. The futures end soon, and never with the transaction of their caller."""

    def take_lock(self, name: str) -> Future[LockAnswer]:
        """Try to take a lock; BUSY too while the server is away."""

    def free_lock(self, name: str) -> Future[None]:
        """Free a lock, if the attempt holds it; one that cannot be freed now is with the attempt's end."""

    def wait_for_lock(self, name: str, seconds: float) -> None:
        """Sleep until the lock may have been freed, at most that long."""

    def lease_is_valid(self) -> bool:
        """Whether this worker can still trust its lease. Must not block."""


class HeldLock:
    """A lock that a handler holds. Hand `fencing_number` to what the lock protects, and have it refuse a smaller one."""

    def __init__(self, name: str, fencing_number: int, sink: LockSink) -> None:
        self.name = name
        self.fencing_number = fencing_number
        self._sink = sink
        self._freed = False

    @property
    def is_valid(self) -> bool:
        """Whether this worker still knows that nobody else can hold the lock."""
        return not self._freed and self._sink.lease_is_valid()

    def mark_freed(self) -> None:
        """The lock is given up: from now on it is not valid."""
        self._freed = True


class LockRequest:
    """What `context.lock(…)` returns: it takes the lock when its block is entered and frees it when the block is left.

    `checkpoint` raises when the attempt is to end; `held` has the names of the locks that the attempt holds.
    """

    def __init__(
        self,
        name: str,
        timeout: float,
        sink: LockSink,
        held: set[str],
        checkpoint: Callable[[], None],
        elapsed: Callable[[], float],
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._sink = sink
        self._held_names = held
        self._checkpoint = checkpoint
        self._elapsed = elapsed
        self._held: HeldLock | None = None

    def __enter__(self) -> HeldLock:
        ends_at = self._begin()
        while (held := self._judge(self._sink.take_lock(self._name).result(), ends_at)) is None:
            self._sink.wait_for_lock(self._name, self._next_wait(ends_at))
            self._checkpoint()
        return held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_up().result()

    async def __aenter__(self) -> HeldLock:
        ends_at = self._begin()
        while (held := self._judge(await self._take(), ends_at)) is None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(_waiting, self._sink.wait_for_lock, self._name, self._next_wait(ends_at))
            self._checkpoint()
        return held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.wrap_future(self._give_up()))

    async def _take(self) -> LockAnswer:
        asked = self._sink.take_lock(self._name)
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda _: self._sink.free_lock(self._name))  # the answer may still be yes
            raise

    def _begin(self) -> float:
        """Check what can be checked here; returns when to give up."""
        if self._name in self._held_names:
            raise RuntimeError(f"This attempt holds the lock {self._name!r} already; it would wait for itself.")
        self._checkpoint()
        return self._elapsed() + self._timeout

    def _next_wait(self, ends_at: float) -> float:
        return max(0.0, min(WAIT_SECONDS, ends_at - self._elapsed()))

    def _judge(self, answer: LockAnswer, ends_at: float) -> HeldLock | None:
        """The lock if it was taken, None if it is worth another try. Raises LockUnavailable or TaskCancelled."""
        if answer.verdict is LockVerdict.LOST:
            raise TaskCancelled
        if answer.verdict is LockVerdict.BUSY:
            if self._elapsed() >= ends_at:
                raise LockUnavailable(self._name, self._timeout)
            return None
        self._held_names.add(self._name)
        self._held = HeldLock(self._name, answer.fencing_number, self._sink)
        return self._held

    def _give_up(self) -> Future[None]:
        assert self._held is not None
        self._held.mark_freed()
        self._held_names.discard(self._name)
        return self._sink.free_lock(self._name)
