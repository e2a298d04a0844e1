"""What the runtime may ask of a server, and how a failure to reach it looks. Knows no Django."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.locks import LockAnswer
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from workers.domain.card import WorkerCard

if TYPE_CHECKING:
    from workers.offline.rows import AskedClaim, Creation


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


@dataclass(frozen=True)
class Renewal:
    """The answer to a renewal: its verdict, and how long the lease is from when it was asked for."""

    verdict: RenewalVerdict
    lease_seconds: float


class Keeping(Protocol):
    """What the keeper asks of the server, and what it says of the dead. Every method may raise Unreachable."""

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """Note that attempts have started; returns the leases that are still the worker's."""

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """Extend leases."""

    def release(self, leases: Sequence[Lease]) -> None:
        """Give tasks back, or say that cancelled ones have stopped."""

    def doom(self, outcomes: Sequence[Outcome]) -> None:
        """A process is about to be killed for attempts that do not end; these will be their outcomes."""

    def settle_dead(self, outcomes: Sequence[Outcome], lost: Sequence[Lease], unstarted: Sequence[Lease]) -> None:
        """Say what became of all that a dead process held."""

    def after_work(self) -> None:
        """Called on a thread after each piece of work: give back what the transport holds for that thread and is broken."""


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
        """Sleep until there may be work, at most that long; a claim that found none may have waited already."""

    def stop_waiting(self) -> None:
        """No more is to be claimed: end the wait for work that goes on, if that is possible. Never raises."""

    def undo_claim(self, asked: AskedClaim) -> None:
        """Give back what a dead process has won by a claim and never heard of."""

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """Note that attempts have started; returns the leases that are still the worker's."""

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """Extend leases."""

    def release(self, leases: Sequence[Lease]) -> None:
        """Give back tasks that have not been started, cancelled ones too."""

    def forget(self, leases: Sequence[Lease]) -> None:
        """The keeper has given these tasks back: keep nothing of them any more. Never raises."""

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """Say that attempts had begun and go on no more: their process is dead, or they were cancelled and have stopped."""

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        """Deliver log lines and progress, then outcomes; says how these were taken."""

    def create(self, creations: Sequence[Creation]) -> None:
        """Create tasks that were asked for while the server was away; what it refuses for good is told by an event."""

    def create_wanted(self) -> None:
        """Create what handlers of this process asked for while the server was away."""

    def enqueue(self, parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """Create tasks on behalf of a running one."""

    def results(self, task: LeasedTask) -> dict[str, Any]:
        """What the tasks have returned that this one depends on. Raises PayloadTooLarge."""

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
