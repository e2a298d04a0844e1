"""The transport of a worker with no database and no Redis: the GraphQL API, and a journal on this host's disk.

What is claimed is on disk before the runtime hears of it, and stays there until the server has taken what became of it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, takewhile
from typing import Any, TypeVar
from uuid import UUID

from dtq_site.foundation.clock import LeaseTimer, elapsed_clock
from dtq_site.foundation.errors import DTQError, Unavailable
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict
from tasks.domain.locks import LockAnswer
from tasks.domain.outcome import Outcome, OutcomeKind, OutcomeVerdict
from tasks.handling.port import EnqueueRequest
from workers.domain.card import WorkerCard
from workers.domain.requested import RequestedTask
from workers.offline.journal import Journal
from workers.offline.rows import Creation
from workers.transports.base import Note, Renewal, Unreachable
from workers.transports.graphql_client import GraphQLClient, ServerRefused, TokenRefused
from workers.transports.worker_api import WorkerApi

Answer = TypeVar("Answer")

LONGEST_WAIT_SECONDS = 20
"""How long a claim waits at the server for work. Many a box on the way forgets a connection that is silent for 30 seconds."""

CUT_OFF_SECONDS = 5.0
"""How long handlers do not even try to reach a server that was found away."""

REMEDY = (
    "Nothing is lost: outcomes are kept on this disk. Have a new token made with issue_worker_token and put it into the token "
    "file, which is read again by itself; where the token is in DTQ_TOKEN, start the worker anew."
)
CREATED_AT_ONCE = 100
NO_ROOM_SECONDS = 5.0


class NotOffered(DTQError):
    """A remote worker cannot do this for its handlers."""

    code = "NOT_OFFERED"


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
        self._observer = observer
        self._api = WorkerApi(client, card)
        self._claims_api = WorkerApi(claims, card)
        self._claims = claims
        self._card = card
        self._journal = journal
        self._now = now
        self._away_until = 0.0
        self._unanswered: UUID | None = None
        self._no_room = False
        self._refused = False
        self._ending = threading.Event()

    # --- the worker ------------------------------------------------------------------------------------------------

    def sign_on(self, card: WorkerCard) -> None:
        """See Transport."""
        self._reaching(self._api.register)

    def heartbeat(self, stopping: bool) -> None:
        """See Transport."""
        self._reaching(lambda: self._api.beat("STOPPING" if stopping else "RUNNING"))

    def sign_off(self) -> None:
        """See Transport."""
        self._reaching(lambda: self._api.beat("STOPPED"))

    # --- getting tasks ---------------------------------------------------------------------------------------------

    def claim(self, claim_id: UUID, limit: int, lease: timedelta, *, from_database: bool) -> list[LeasedTask]:
        """See Transport. Waits at the server; a claim whose answer was lost is made again under its own id first.

        What cannot be written down is given back and not run.
        """
        limit = 1 if self._no_room else limit
        repeated = self._unanswered is not None
        self._unanswered = self._unanswered or claim_id
        sent = LeaseTimer.sent_at()
        wait_seconds = 0 if self._ending.is_set() else LONGEST_WAIT_SECONDS
        try:
            won = self._reaching(
                lambda: self._claims_api.claim(
                    self._unanswered or claim_id, limit, lease, wait_seconds, repeated=repeated
                )
            )
        except Unreachable:
            if not self._ending.is_set():
                raise
            return self._give_back_unheard()
        self._unanswered = None
        held = self._written_down(won, sent)
        self._no_room = len(held) < len(won)
        if self._no_room:
            self._return([task.lease for task in won[len(held) :]])
        return self._confirmed(held, lease) if held else []

    def _written_down(self, won: Sequence[LeasedTask], sent: tuple[float, float, float]) -> Sequence[LeasedTask]:
        """As many of the tasks as there is room for."""
        if not won or self._journal.hold(won, sent):
            return won
        return list(takewhile(lambda task: self._journal.hold([task], sent), won)) if len(won) > 1 else []

    def _give_back_unheard(self) -> list[LeasedTask]:
        """The wait was ended by us: what it may have won in that moment is not run."""
        if self._unanswered is not None:
            claim_id, self._unanswered = self._unanswered, None
            won = self._claims_api.claim(claim_id, 1, timedelta(minutes=1), repeated=True)
            self._api.release([task.lease for task in won])
        return []

    def _confirmed(self, won: Sequence[LeasedTask], lease: timedelta) -> list[LeasedTask]:
        """The tasks with the leases that were asked for: a claim grants a short one, because its answer may be lost."""
        if all(task.lease_seconds >= lease.total_seconds() for task in won):
            return list(won)
        sent = LeaseTimer.sent_at()
        try:
            renewals = self.renew([task.lease for task in won], lease)
        except (Unreachable, ServerRefused):
            return list(won)
        lost = [each for each, renewal in renewals.items() if renewal.verdict is not RenewalVerdict.RENEWED]
        held = [
            replace(task, lease_seconds=renewals[task.lease].lease_seconds) for task in won if task.lease not in lost
        ]
        self._journal.extend({task.lease: (task.lease_seconds, sent) for task in held})
        if lost:
            self._return(lost)
        return held

    def _return(self, leases: Sequence[Lease]) -> None:
        """Give tasks back, and do not mind if that fails: their leases are short, and others have been won beside them."""
        with suppress(Unreachable):
            self.release(leases)

    def after_start(self) -> None:
        """See Transport."""

    def wait(self, timeout_seconds: float) -> None:
        """See Transport. A claim has waited already, unless there was no room for what it won."""
        if self._no_room:
            self._ending.wait(NO_ROOM_SECONDS)

    def stop_waiting(self) -> None:
        """See Transport."""
        self._ending.set()
        self._claims.interrupt()

    # --- holding them ----------------------------------------------------------------------------------------------

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """See Transport."""
        held = self._reaching(lambda: self._api.begin(leases))
        self._journal.begin(held)
        return held

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """See Transport."""
        return self._reaching(lambda: self._api.renew(leases, lease))

    def report(self, outcomes: Sequence[Outcome]) -> dict[Lease, OutcomeVerdict]:
        """See Transport. What the server refuses to read fails its own task, and holds up no other."""
        verdicts = self._reaching(lambda: self._settled(outcomes))
        self._journal.let_go(verdicts)
        return verdicts

    def _settled(self, outcomes: Sequence[Outcome]) -> dict[Lease, OutcomeVerdict]:
        try:
            return self._api.report(outcomes)
        except ServerRefused as error:
            if error.code not in ("BAD_USER_INPUT", "PAYLOAD_TOO_LARGE"):
                raise Unreachable(f"{error.code}: {error.message}") from error
            if len(outcomes) > 1:
                middle = len(outcomes) // 2
                return self._settled(outcomes[:middle]) | self._settled(outcomes[middle:])
            said = f"the outcome cannot be stored: {error.message}"
            plain = replace(outcomes[0], kind=OutcomeKind.DISCARDED, result=None, error=said)
        return self._api.report([plain])

    def release(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        self._reaching(lambda: self._api.release(leases))
        self._journal.let_go(leases)

    def forfeit(self, leases: Sequence[Lease]) -> None:
        """See Transport."""
        self._reaching(lambda: self._api.forfeit(leases))
        self._journal.let_go(leases)

    def record(self, notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        """See Transport."""
        self._reaching(lambda: self._api.record(notes, progress))

    # --- creating tasks --------------------------------------------------------------------------------------------

    def enqueue(self, parent: LeasedTask, requests: Sequence[EnqueueRequest]) -> list[Any]:
        """See Transport. Returns RequestedTasks, which wait on this host's disk while the server is away."""
        creations = [
            Creation(
                request if request.idempotency_key is not None else replace(request, idempotency_key=f"{uuid.uuid4()}"),
                self._now(),
                parent.lease,
            )
            for request in requests
        ]
        if elapsed_clock() >= self._away_until:
            try:
                made = self._reaching(lambda: self._api.create(parent.lease, creations, self._now()))
            except Unreachable:
                pass
            else:
                return [
                    RequestedTask(creation.request.name, creation.key, task["id"], task["status"])
                    for creation, task in zip(creations, made, strict=True)
                ]
        if not self._journal.want(creations):
            raise Unavailable("The server is away, and there is no room on this disk to keep the request.")
        return [RequestedTask(creation.request.name, creation.key) for creation in creations]

    def create_wanted(self) -> None:
        """See Transport."""
        while creations := self._journal.wanted(CREATED_AT_ONCE):
            self.create(creations)
            self._journal.created(creations)

    def create(self, creations: Sequence[Creation]) -> None:
        """See Transport. One that the server refuses holds up no other."""
        for parent, those in groupby(creations, key=lambda creation: creation.parent):
            if parent is not None:
                self._create(parent, list(those))
                continue
            for creation in those:
                self._tell_refused(creation, "FORBIDDEN", "A script asked for it, in a store that is a worker's.")

    def _create(self, parent: Lease, creations: Sequence[Creation]) -> None:
        try:
            self._reaching(lambda: self._api.create(parent, creations, self._now()))
        except ServerRefused as error:
            if len(creations) > 1:
                for creation in creations:
                    self._create(parent, [creation])
                return
            self._tell_refused(creations[0], error.code, error.message)

    def _tell_refused(self, creation: Creation, code: str, reason: str) -> None:
        self._observer.emit(
            "creation.refused",
            name=creation.request.name,
            payload=creation.request.payload,
            idempotency_key=creation.key,
            parent=str(creation.parent.task_id) if creation.parent else None,
            code=code,
            error=reason,
        )

    def results(self, lease: Lease) -> dict[str, Any]:
        """See Transport. Raises NotOffered."""
        raise NotOffered("A remote worker cannot read what other tasks have returned; hand it over in the payload.")

    # --- locks -----------------------------------------------------------------------------------------------------

    def take_lock(self, lease: Lease, name: str) -> LockAnswer:
        """See Transport. Raises NotOffered."""
        raise NotOffered('A remote worker takes no locks while a handler runs; declare the lock: @task(…, lock="…").')

    def free_lock(self, lease: Lease, name: str) -> None:
        """See Transport. None was taken."""

    def wait_for_lock(self, name: str, timeout_seconds: float) -> None:
        """See Transport. None was asked for."""

    # --- threads ---------------------------------------------------------------------------------------------------

    def after_work(self) -> None:
        """See Transport."""

    def after_handler(self) -> None:
        """See Transport."""

    async def after_async_handler(self) -> None:
        """See Transport."""

    def _reaching(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except Unreachable as error:
            self._away_until = elapsed_clock() + CUT_OFF_SECONDS
            if isinstance(error, TokenRefused) and not self._refused:
                self._refused = True
                self._observer.emit("token.refused", error=str(error), remedy=REMEDY)
            raise
        self._away_until, self._refused = 0.0, False
        return answer
