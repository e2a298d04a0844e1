"""What the runtime may ask of a server, and how a failure to reach it looks. Knows no Django."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.locks import LockAnswer
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from workers.domain.card import WorkerCard


class Unreachable(Exception):
    """The server did not answer; the same request may be made again."""


@dataclass(frozen=True)
class Note:
    """A line of a running task's log. `sequence` counts the lines of one attempt."""

    lease: Lease
    attempt: int
    sequence: int
    level: str
    message: str


class Transport(Protocol):
    """The way to the server. Every method may raise Unreachable, and may be called from any thread."""

    def sign_on(self, card: WorkerCard) -> None:
        """Make the worker known."""

    def heartbeat(self, stopping: bool) -> None:
        """Say that the worker lives; signs on again if the server has forgotten it."""

    def sign_off(self) -> None:
        """Say that the worker has ended."""

    def claim(self, claim_id: UUID, limit: int, lease: timedelta, *, from_database: bool) -> list[LeasedTask]:
        """Lease up to `limit` tasks; `from_database` asks the rows instead of the index."""

    def after_start(self) -> None:
        """Called when what was claimed has been started: do what could wait until then. Never raises."""

    def wait(self, timeout_seconds: float) -> None:
        """Sleep until there may be work, at most that long."""

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """Note that attempts have started; returns the leases that are still the worker's."""

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, RenewalVerdict]:
        """Extend leases."""

    def report(self, outcomes: Sequence[Outcome]) -> dict[Lease, OutcomeVerdict]:
        """Deliver outcomes."""

    def release(self, leases: Sequence[Lease]) -> None:
        """Give back tasks that have not been started, cancelled ones too."""

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """Say that attempts had begun and go on no more: their process is dead, or they were cancelled and have stopped."""

    def record(self, notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        """Deliver log lines and progress."""

    def enqueue(self, parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """Create tasks on behalf of a running one."""

    def results(self, lease: Lease) -> dict[str, Any]:
        """What the tasks have returned that an attempt's task depends on. Raises PayloadTooLarge."""

    def take_lock(self, lease: Lease, name: str) -> LockAnswer:
        """Try to take a lock for a running attempt."""

    def free_lock(self, lease: Lease, name: str) -> None:
        """Free a lock that an attempt has taken, if it holds it still."""

    def wait_for_lock(self, name: str, timeout_seconds: float) -> None:
        """Sleep until the lock may have been freed, at most that long. Never raises."""

    def after_work(self) -> None:
        """Called on a thread after each piece of work: give back what the transport holds for that thread and is broken."""

    def after_handler(self) -> None:
        """As `after_work`, after a handler: undo what it may have left in what the transport shares with it."""

    async def after_async_handler(self) -> None:
        """As `after_handler`, for whichever thread serves the blocking calls of async handlers."""
