"""The transport of a worker with no database and no Redis: the GraphQL API, and a journal on this host's disk.

What is claimed is on disk before the runtime hears of it, and stays there until the server has taken what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dtq_site.foundation.backoff import spread
from dtq_site.foundation.errors import PayloadTooLarge
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.locks import LockAnswer
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from workers.domain.card import WorkerCard
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim, Creation
from workers.transports.base import Note, Renewal, Unreachable
from workers.transports.graphql_client import GraphQLClient, ServerRefused
from workers.transports.reach import Reach
from workers.transports.remote_claims import RemoteClaims
from workers.transports.remote_creations import RemoteCreations
from workers.transports.worker_api import WorkerApi

LOCK_LOOK_SECONDS = 0.5
"""How often who waits for a lock asks for it: nobody rings at this end."""


class RemoteTransport:
    """A Transport by the API. `claims` is a client of its own, because claims wait."""

    def __init__(
        self,
        observer: Observer,
        client: GraphQLClient,
        claims: GraphQLClient,
        card: WorkerCard,
        journal: Journal,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._api = WorkerApi(client, card)
        self._observer = observer
        self._journal = journal
        self._reach = Reach(observer)
        self._claims = RemoteClaims(
            self._reach, self._api, claims, WorkerApi(claims, card), card.id, journal, self.release
        )
        self._creations = RemoteCreations(observer, self._reach, self._api, journal, now)

    # --- the worker ------------------------------------------------------------------------------------------------

    def sign_on(self, card: WorkerCard) -> None:
        """See Transport."""
        self._reach.ask(self._api.register)

    def heartbeat(self, stopping: bool) -> None:
        """See Transport."""
        self._reach.ask(lambda: self._api.beat("STOPPING" if stopping else "RUNNING"))

    def sign_off(self) -> None:
        """See Transport."""
        self._reach.ask(lambda: self._api.beat("STOPPED"))

    # --- getting tasks ---------------------------------------------------------------------------------------------

    def claim(self, claim_id: UUID, limit: int, lease: timedelta, *, from_database: bool) -> list[LeasedTask]:
        """See Transport. Waits at the server; the claim's id is one that is on this disk already."""
        return self._claims.claim(limit, lease)

    def after_start(self) -> None:
        """See Transport."""

    def wait(self, timeout_seconds: float) -> None:
        """See Transport."""
        self._claims.wait()

    def stop_waiting(self) -> None:
        """See Transport."""
        self._claims.stop_waiting()

    def undo_claim(self, asked: AskedClaim) -> None:
        """See Transport."""
        self._claims.undo(asked)

    # --- holding them ----------------------------------------------------------------------------------------------

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """See Transport."""
        held = self._reach.ask(lambda: self._api.begin(leases))
        self._journal.begin(held)
        return held

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """See Transport."""
        return self._reach.ask(lambda: self._api.renew(leases, lease))

    def release(self, leases: Sequence[Lease]) -> None:
        """See Transport. The disk hears of it first: the reply may be lost, and this process with it."""
        self._journal.give_up(leases)
        self._reach.ask(lambda: self._api.release(leases))
        self._journal.let_go(leases)

    def forget(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        self._journal.let_go(leases)

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        self._reach.ask(lambda: self._api.forfeit(leases))
        self._journal.let_go(leases)

    # --- what attempts tell ----------------------------------------------------------------------------------------

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        """See Transport. What the server refuses to read fails its own task, and holds up no other."""
        verdicts = self._reach.ask(lambda: self._told(notes, progress, outcomes))
        self._journal.let_go(verdicts)
        return verdicts

    def _told(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        try:
            return self._api.tell(notes, progress, outcomes)
        except ServerRefused as error:
            _require_about_content(error)
            if notes or progress:
                self._record(notes, progress)
                return self._told([], {}, outcomes)
            if len(outcomes) > 1:
                middle = len(outcomes) // 2
                return self._told([], {}, outcomes[:middle]) | self._told([], {}, outcomes[middle:])
            said = f"the outcome cannot be stored: {error.message}"
            plain = replace(outcomes[0], kind=OutcomeKind.DISCARDED, result=None, error=said)
        return self._api.report([plain])

    def _record(self, notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        """Deliver log lines and progress; one that the server refuses to read is dropped, and an event says so."""
        try:
            self._api.record(notes, progress)
        except ServerRefused as error:
            _require_about_content(error)
            values = list(progress.items())
            if len(notes) + len(values) == 1:
                lease = notes[0].lease if notes else values[0][0]
                self._observer.emit("record.refused", task=str(lease.task_id), code=error.code, error=error.message)
                return
            line, value = (len(notes) + 1) // 2, len(values) // 2
            self._record(notes[:line], dict(values[:value]))
            self._record(notes[line:], dict(values[value:]))

    # --- creating tasks, and what others have returned ----------------------------------------------------------------

    def create(self, creations: Sequence[Creation]) -> None:
        """See Transport."""
        self._creations.create(creations)

    def create_wanted(self) -> None:
        """See Transport."""
        self._creations.create_wanted()

    def enqueue(self, parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """See Transport. Returns RequestedTasks, which wait on this host's disk while the server is away."""
        return self._creations.enqueue(parent.lease, requests)

    def results(self, task: LeasedTask) -> dict[str, Any]:
        """See Transport. They came with the claim, unless they were too large for that."""
        if task.parent_results is not None:
            return task.parent_results
        try:
            return self._reach.ask_for_handler(lambda: self._api.parent_results(task.lease))
        except ServerRefused as error:
            if error.code == PayloadTooLarge.code:
                raise PayloadTooLarge(error.message, field=error.field) from error
            raise

    # --- locks -----------------------------------------------------------------------------------------------------

    def take_lock(self, lease: Lease, name: str) -> LockAnswer:
        """See Transport."""
        return self._reach.ask_for_handler(lambda: self._api.take_lock(lease, name))

    def free_lock(self, lease: Lease, name: str) -> None:
        """See Transport."""
        self._reach.ask_for_handler(lambda: self._api.free_lock(lease, name))

    def wait_for_lock(self, name: str, timeout_seconds: float) -> None:
        """See Transport."""
        time.sleep(min(timeout_seconds, spread(LOCK_LOOK_SECONDS, 0.5)))

    # --- threads ---------------------------------------------------------------------------------------------------

    def after_work(self) -> None:
        """See Transport."""

    def after_handler(self) -> None:
        """See Transport."""

    async def after_async_handler(self) -> None:
        """See Transport."""


def _require_about_content(error: ServerRefused) -> None:
    """Raise Unreachable if the server would refuse anything: then nothing is wrong with what it was told."""
    if error.code not in ("BAD_USER_INPUT", "PAYLOAD_TOO_LARGE"):
        raise Unreachable(f"{error.code}: {error.message}") from error
