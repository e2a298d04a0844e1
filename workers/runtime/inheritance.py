"""Delivers what worker processes of this host that are no more have left on its disk."""

from __future__ import annotations

from contextlib import suppress

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer
from workers.offline.errors import StoreDamaged, StoreError
from workers.offline.folder import OutboxFolder
from workers.offline.store import Store
from workers.runtime.adoption import Adoption
from workers.transports.base import Transport, Unreachable

BATCH = 200
LOOK_SECONDS = 10.0


class Inheritance:
    """One file after the other, batch by batch, so that what this process itself has to tell never waits for long.

    `caught_up` says that all which lay there at the start has been dealt with. Claimed tasks are found by remote workers
    only, whose `adoption` takes over what can still be run.
    """

    def __init__(
        self, observer: Observer, transport: Transport, folder: OutboxFolder, adoption: Adoption | None = None
    ) -> None:
        self._observer = observer
        self._transport = transport
        self._folder = folder
        self._adoption = adoption
        self._store: Store | None = None
        self._is_taken_over = False
        self._look_at = 0.0
        self.caught_up = False

    def deliver_some(self) -> float:
        """Deliver a batch, if anybody has left one; returns the seconds until there may be more. Raises Unreachable."""
        if (pause := self._look_at - elapsed_clock()) > 0:
            return pause
        if self._store is None:
            if self._adoption is not None:
                self._adoption.tidy()
            self._store = self._folder.inherit()
            if self._store is None:
                self.caught_up = True
                self._look_at = elapsed_clock() + LOOK_SECONDS
                return LOOK_SECONDS
            self._is_taken_over = False
        self._take_over(self._store)
        self._deliver_from(self._store)
        return 0

    def leave(self) -> None:
        """Remove the files in which nothing is left; the last call."""
        with suppress(OSError, StoreError):
            if self._adoption is not None:
                self._adoption.tidy()
            if self._store is not None and self._store.is_empty:
                self._folder.discard(self._store)

    def _deliver_from(self, store: Store) -> None:
        try:
            if self._deliver_batch(store):
                return
            if self._adoption is None or not self._adoption.keeps(store):
                self._folder.discard(store)
        except StoreDamaged as error:
            self._folder.set_aside(store, error)
        except StoreError as error:
            self._observer.emit("outbox.unusable", file=str(store.path), error=str(error))
            self._look_at = elapsed_clock() + LOOK_SECONDS
            self.caught_up = True
            if self._adoption is not None and self._adoption.runs_of(store):
                return  # it stays this process's, whose journal writes to it
            self._folder.release(store)
        except Unreachable:
            raise
        except Exception:
            self.caught_up = True  # a defect must not keep the worker from working
            raise
        self._store = None

    def _take_over(self, store: Store) -> None:
        """Adopt what can be run, once, before anything is said of the rest; it is tried again if it waits for the server."""
        if self._adoption is None or self._is_taken_over:
            return
        self._is_taken_over = True
        try:
            self._adoption.take_over(store)
        except Unreachable:
            self._is_taken_over = False
            raise

    def _deliver_batch(self, store: Store) -> bool:
        """Deliver what was to be created, log lines and progress, then outcomes; False if there was nothing any more."""
        if creations := store.creations(BATCH):
            self._transport.create(creations)
            store.forget_creations(creations)
        elif notes := store.notes(BATCH):
            self._transport.tell(notes, {}, [])
            store.forget_notes(notes)
        elif progress := store.progress(BATCH):
            self._transport.tell([], progress, [])
            store.forget_progress(progress)
        elif outcomes := store.outcomes(BATCH):
            verdicts = self._transport.tell([], {}, outcomes)
            self._observer.emit("outbox.inherited", outcomes=len(outcomes), file=str(store.path))
            store.forget_outcomes(verdicts)
        else:
            return self._adoption is not None and self._adoption.settle_rest(store)
        return True
