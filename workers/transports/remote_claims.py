"""How a remote worker gets its tasks: claims that wait at the server, whose answers may be lost, and a disk that may be full.

A claim's id is on disk before the claim is sent, so that whoever finds the file of a dead process can give back what that one
has won and never heard of. It costs no write of its own: it is written with what the claim before it has won.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from uuid import UUID

from dtq_site.foundation.clock import LeaseTimer
from tasks.domain.lease import Lease, LeasedTask, RenewalVerdict, WhenLost
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim
from workers.transports.base import Unreachable
from workers.transports.graphql_client import GraphQLClient, NotDone, ServerRefused
from workers.transports.reach import Reach
from workers.transports.worker_api import WorkerApi

LONGEST_WAIT_SECONDS = 20
"""How long a claim waits at the server for work. Many a box on the way forgets a connection that is silent for 30 seconds."""

NO_ROOM_SECONDS = 5.0


class RemoteClaims:
    """The claims of one worker. `client` is for them alone, because they wait; `release` gives tasks back."""

    def __init__(
        self,
        reach: Reach,
        api: WorkerApi,
        client: GraphQLClient,
        claims_api: WorkerApi,
        worker_id: UUID,
        journal: Journal,
        release: Callable[[Sequence[Lease]], None],
    ) -> None:
        self._reach = reach
        self._api = api
        self._client = client
        self._claims_api = claims_api
        self._worker_id = worker_id
        self._journal = journal
        self._release = release
        self._next = uuid.uuid4()
        self._unanswered = False
        self._no_room = False
        self._ending = threading.Event()

    def claim(self, limit: int, lease: timedelta) -> list[LeasedTask]:
        """Wait at the server for tasks; a claim whose answer was lost is made again under its own id first.

        What cannot be written down is given back and not run.
        """
        repeated, self._unanswered = self._unanswered, True
        self._journal.ask(AskedClaim(self._worker_id, self._next))
        sent = LeaseTimer.sent_at()
        wait_seconds = 0 if self._ending.is_set() else LONGEST_WAIT_SECONDS
        most = 1 if self._no_room else limit
        try:
            won = self._reach.ask(
                lambda: self._claims_api.claim(self._next, most, lease, wait_seconds, repeated=repeated)
            )
        except Unreachable as error:
            if isinstance(error, NotDone) and not repeated:
                self._heard()
            if not self._ending.is_set():
                raise
            if self._unanswered:
                self._give_back_unheard()
            won = []
        self._heard()
        return self._kept(won, sent, lease) if won else []

    def _heard(self) -> None:
        """Whatever the last claim has won is known here."""
        self._unanswered = False
        self._journal.answered()

    def _kept(self, won: Sequence[LeasedTask], sent: tuple[float, float, float], lease: timedelta) -> list[LeasedTask]:
        held = self._written_down(won, sent)
        self._no_room = len(held) < len(won)
        if self._no_room:
            self._return([task.lease for task in won[len(held) :]])
        if any(task.when_lost == WhenLost.HOLD for task in held):
            return self._confirmed(held, lease)
        return list(held)

    def _written_down(self, won: Sequence[LeasedTask], sent: tuple[float, float, float]) -> Sequence[LeasedTask]:
        """As many of the tasks as there is room for. With the first of them the next claim is on disk, too."""
        following = uuid.uuid4()
        asks_next = AskedClaim(self._worker_id, following)
        held = won
        if not self._journal.hold(won, sent, asks_next):
            several = won if len(won) > 1 else []
            held = list(takewhile(lambda task: self._journal.hold([task], sent, asks_next), several))
        if held:
            self._next = following
        return held

    def _confirmed(self, won: Sequence[LeasedTask], lease: timedelta) -> list[LeasedTask]:
        """The tasks, renewed before they run: a claim holds nothing for this worker beyond the lease, as its answer may be lost.

        Where nothing is held, the keeper makes the short leases of a claim long; of short tasks most have ended by then.
        """
        sent = LeaseTimer.sent_at()
        try:
            renewals = self._reach.ask(lambda: self._api.renew([task.lease for task in won], lease))
        except (Unreachable, ServerRefused):
            return list(won)
        lost = [each for each, renewal in renewals.items() if renewal.verdict is not RenewalVerdict.RENEWED]
        ours = [
            replace(task, lease_seconds=renewals[task.lease].lease_seconds) for task in won if task.lease not in lost
        ]
        self._journal.extend({task.lease: (task.lease_seconds, sent) for task in ours})
        if lost:
            self._return(lost)
        return ours

    def _return(self, leases: Sequence[Lease]) -> None:
        """Give tasks back, and do not mind if that fails: their leases are short, and others have been won beside them."""
        with suppress(Unreachable):
            self._release(leases)

    # --- answers that were not heard -------------------------------------------------------------------------------

    def _give_back_unheard(self) -> None:
        """The wait was ended by us: what it may have won in that moment is not run."""
        won = self._claims_api.claim(self._next, 1, timedelta(minutes=1), repeated=True)
        if won:
            self._api.release([task.lease for task in won])

    def undo(self, asked: AskedClaim) -> None:
        """Give back what a dead process has won by its last claim, if it has won anything. Raises Unreachable."""
        try:
            won = self._reach.ask(lambda: self._api.won_by(asked))
        except ServerRefused as error:
            if error.code != "NOT_FOUND":  # else the server has forgotten that worker, or it was another account's
                raise
            return
        if won:
            self._release(won)

    # --- waiting ---------------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """A claim has waited already, unless there was no room for what it won."""
        if self._no_room:
            self._ending.wait(NO_ROOM_SECONDS)

    def stop_waiting(self) -> None:
        """End the wait at the server."""
        self._ending.set()
        self._client.interrupt()
