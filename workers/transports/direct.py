"""The transport of a worker that reaches the database and Redis itself: plain calls of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError

from dtq_site.foundation.connections import close_broken_connections, is_unavailable, reset_connections
from dtq_site.foundation.database import database_clock, is_lock_conflict
from tasks import audit
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.locks import LockAnswer
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from workers import gateway, presence
from workers.domain.card import WorkerCard
from workers.domain.liveness import WorkerStatus
from workers.gateway import Caller
from workers.offline.rows import AskedClaim, Creation
from workers.transports.base import Note, Renewal, Unreachable

Answer = TypeVar("Answer")


class DirectTransport:
    """A Transport by direct calls. A database that is away is Unreachable; anything else is a defect and shows."""

    def __init__(self, card: WorkerCard) -> None:
        self._card = card
        self._caller = Caller(card.id, frozenset(card.handlers), frozenset(card.queues), card.team_id)
        self._postponed: list[Callable[[], None]] = []

    def sign_on(self, card: WorkerCard) -> None:
        """See Transport."""
        _reaching(lambda: presence.sign_on(card, database_clock.now()))

    def heartbeat(self, stopping: bool) -> None:
        """See Transport."""
        status = WorkerStatus.STOPPING if stopping else WorkerStatus.RUNNING
        if not _reaching(lambda: presence.beat(self._card.id, status, database_clock.now())):
            self.sign_on(self._card)

    def sign_off(self) -> None:
        """See Transport."""
        _reaching(lambda: presence.sign_off(self._card.id, database_clock.now()))

    def claim(self, claim_id: UUID, limit: int, lease: timedelta, *, from_database: bool) -> list[LeasedTask]:
        """See Transport."""
        return _reaching(
            lambda: gateway.claim(
                self._caller, claim_id, limit, lease, from_database=from_database, later=self._postponed.append
            )
        )

    def after_start(self) -> None:
        """See Transport. Tells the index what has been claimed."""
        while self._postponed:
            self._postponed.pop()()

    def wait(self, timeout_seconds: float) -> None:
        """See Transport."""
        _reaching(lambda: gateway.wait(self._caller, timeout_seconds))

    def stop_waiting(self) -> None:
        """See Transport. A wait is short."""

    def undo_claim(self, asked: AskedClaim) -> None:
        """See Transport. What a keeper does not settle ends with its lease, which is short."""

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """See Transport."""
        return _reaching(lambda: gateway.begin(leases))

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """See Keeping."""
        verdicts = _reaching(lambda: gateway.renew(leases, lease))
        return {each: Renewal(verdict, lease.total_seconds()) for each, verdict in verdicts.items()}

    def release(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        _reaching(lambda: gateway.release(leases))

    def forget(self, leases: Sequence[Lease]) -> None:
        """See Transport. Nothing is kept here."""

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        _reaching(lambda: gateway.forfeit(leases))

    def doom(self, outcomes: Sequence[Outcome]) -> None:
        """See Keeping. They are told once the process is dead."""

    def settle_dead(self, outcomes: Sequence[Outcome], lost: Sequence[Lease], unstarted: Sequence[Lease]) -> None:
        """See Keeping."""
        if outcomes:
            self.tell([], {}, outcomes)
        if lost:
            self.forfeit(lost)
        if unstarted:
            self.release(unstarted)

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        """See Transport."""
        if notes or progress:
            self._record(notes, progress)
        return _reaching(lambda: gateway.report(outcomes))

    def _record(self, notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        lines = [
            audit.LogLine(
                note.lease.task_id, note.lease.fencing_token, note.sequence, note.attempt, note.level, note.message
            )
            for note in notes
        ]
        _reaching(lambda: gateway.record(lines, progress))

    def create(self, creations: Sequence[Creation]) -> None:
        """See Transport. Who reaches the database asks for nothing while it is away."""

    def create_wanted(self) -> None:
        """See Transport."""

    def enqueue(self, parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """See Transport."""
        return gateway.enqueue(parent, requests)

    def results(self, task: LeasedTask) -> dict[str, Any]:
        """See Transport."""
        return _reaching(lambda: gateway.results(task.lease))

    def take_lock(self, lease: Lease, name: str) -> LockAnswer:
        """See Transport."""
        return _reaching(lambda: gateway.take_lock(lease, name))

    def free_lock(self, lease: Lease, name: str) -> None:
        """See Transport."""
        _reaching(lambda: gateway.free_lock(lease, name))

    def wait_for_lock(self, name: str, timeout_seconds: float) -> None:
        """See Transport."""
        gateway.wait_for_lock(name, timeout_seconds)

    def after_work(self) -> None:
        """See Transport."""
        close_broken_connections()

    def after_handler(self) -> None:
        """See Transport."""
        reset_connections()
        close_broken_connections()

    async def after_async_handler(self) -> None:
        """See Transport."""
        await sync_to_async(self.after_handler)()


def _reaching(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (DatabaseError, InterfaceError) as error:
        if is_unavailable(error) or is_lock_conflict(error):
            raise Unreachable(str(error)) from error
        raise
