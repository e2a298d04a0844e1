"""Takes over the claimed tasks that a dead process of this host has left on its disk.

What had not begun is run here, offline too, for as long as its lease lasts, if this process knows its handler. When the host has
been started anew since, only the server can tell how long that is. What had begun counts as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from dtq_site.foundation.clock import LeaseTimer, boot_id
from tasks.domain.lease import RenewalVerdict
from tasks.handling import registry
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.offline.rows import ClaimedRow
from workers.offline.store import Store
from workers.runtime.attempt import HeldAttempts
from workers.transports.base import Transport, Unreachable


class Adoption:
    """`adopt` runs tasks from now on. A file stays held for as long as an adopted task stands in it."""

    def __init__(
        self,
        transport: Transport,
        held: HeldAttempts,
        folder: OutboxFolder,
        journal: Journal,
        adopt: Callable[[Sequence[ClaimedRow]], None],
    ) -> None:
        self._transport = transport
        self._held = held
        self._folder = folder
        self._journal = journal
        self._adopt = adopt
        self._kept: list[Store] = []

    def take_over(self, store: Store) -> None:
        """Run what can be run of a file that was found just now. Raises Unreachable if that must wait for the server's word."""
        ended = self._folder.kept_leases()
        rows = store.claimed()
        store.let_go([row.task.lease for row in rows if row.task.lease in ended])
        unbegun = [row for row in rows if _may_run(row) and row.task.lease not in ended]
        ours = self._confirmed(unbegun[: self._held.room // 2], is_same_boot=store.origin.boot == boot_id())
        self._journal.adopt(store, ours)
        self._adopt(ours)

    def _confirmed(self, rows: Sequence[ClaimedRow], *, is_same_boot: bool) -> list[ClaimedRow]:
        """Those whose leases the server extends; while it is away, all if their clocks can tell whether they may start."""
        if not rows:
            return []
        sent = LeaseTimer.sent_at()
        longest = timedelta(seconds=max(row.task.lease_seconds for row in rows))
        try:
            renewals = self._transport.renew([row.task.lease for row in rows], longest)
        except Unreachable:
            if not is_same_boot:
                raise
            return list(rows)
        return [
            replace(row, task=replace(row.task, lease_seconds=renewal.lease_seconds), sent=sent)
            for row in rows
            if (renewal := renewals[row.task.lease]).verdict is RenewalVerdict.RENEWED
        ]

    def settle_rest(self, store: Store) -> bool:
        """Say what became of the tasks that were not adopted, and of the last claim; False if there was nothing to say.

        Raises Unreachable.
        """
        if (asked := store.asked()) is not None:
            self._transport.undo_claim(asked)
            store.ask(None)
            return True
        adopted = self._journal.adopted_from(store)
        rest = [row for row in store.claimed() if row.task.lease not in adopted]
        if not rest:
            return False
        if begun := [row.task.lease for row in rest if row.begun]:
            self._transport.forfeit(begun)
        if unbegun := [row.task.lease for row in rest if not row.begun]:
            self._transport.release(unbegun)
        store.let_go([row.task.lease for row in rest])
        return True

    def keeps(self, store: Store) -> bool:
        """Whether the file must stay for what was adopted from it."""
        if self.runs_of(store):
            self._kept.append(store)
            return True
        return False

    def runs_of(self, store: Store) -> bool:
        """Whether something that was adopted from the file is still held."""
        return bool(self._journal.adopted_from(store))

    def tidy(self) -> None:
        """Give up the files of which nothing is held any more."""
        for emptied in [each for each in self._kept if not self._journal.adopted_from(each)]:
            self._kept.remove(emptied)
            self._folder.discard(emptied)


def _may_run(row: ClaimedRow) -> bool:
    """Whether it had surely not begun, and can here: the dead process may have been one with other handlers."""
    is_unbegun = not (row.begun or row.given_up or row.task.begin_first)
    return is_unbegun and registry.lookup(row.task.name) is not None
