"""What this process holds, on disk before it counts: claimed tasks before they run, tasks to be created before a handler
goes on. Of a remote worker only; who reaches the database has all of it there.

Tasks that a dead process held without having begun them are adopted: their rows stay where they are, in files that this
process holds from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, LeasedTask
from workers.offline.errors import StoreDamaged, StoreError, StoreFull
from workers.offline.folder import OutboxFolder
from workers.offline.rows import AskedClaim, ClaimedRow, Creation
from workers.offline.store import Store

Readings = tuple[float, float, float]


class Journal:
    """Thread-safe. Its own file is made when it is first needed. It has in memory what is in it, so damage costs nothing."""

    def __init__(self, observer: Observer, folder: OutboxFolder) -> None:
        self._observer = observer
        self._folder = folder
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._held: dict[Lease, tuple[LeasedTask, Readings]] = {}
        self._adopted: dict[Lease, Store] = {}
        self._wanted: dict[str, Creation] = {}
        self._asked: AskedClaim | None = None
        self._unanswered = False
        self._trouble = ""

    # --- claimed tasks ---------------------------------------------------------------------------------------------

    def ask(self, claim: AskedClaim) -> None:
        """A claim is about to be sent; it is on disk, if that can be, until `answered`. Else its tasks wait for their leases."""
        with self._lock:
            self._unanswered = True
            if claim != self._asked and self._write(lambda store: store.ask(claim)):
                self._asked = claim

    def answered(self) -> None:
        """The claim that was sent last has been answered; it stays on disk as the next one until this process leaves."""
        self._unanswered = False

    def hold(self, tasks: Sequence[LeasedTask], sent: Readings, asks_next: AskedClaim | None = None) -> bool:
        """Have claimed tasks on disk. False if that cannot be: then they must not run, and an event has said why.

        `asks_next` is the claim that will be sent next, on disk from now on, so that asking costs no write of its own.
        """
        with self._lock:
            kept = self._write(lambda store: store.hold(tasks, sent, asks_next))
            if kept:
                self._asked = asks_next
                self._held |= {task.lease: (task, sent) for task in tasks}
            return kept

    def begin(self, leases: Iterable[Lease]) -> None:
        """Note that handlers may have done anything. What cannot be noted is run again, should this process die."""
        self._note(leases, lambda store, those: store.begin(those))

    def give_up(self, leases: Iterable[Lease]) -> None:
        """Note that tasks are about to be given back: whether the server hears of it or not, nobody here runs them any more."""
        self._note(leases, lambda store, those: store.give_up(those))

    def extend(self, renewals: Mapping[Lease, tuple[float, Readings]]) -> None:
        """Note how long leases last by now."""
        self._note(renewals, lambda store, those: store.extend({each: renewals[each] for each in those}))

    def let_go(self, leases: Iterable[Lease]) -> None:
        """Forget tasks that are settled, or no longer this worker's."""
        leases = list(leases)
        with self._lock:
            self._note(leases, lambda store, those: store.let_go(those))
            for lease in leases:
                self._held.pop(lease, None)
                self._adopted.pop(lease, None)

    def adopt(self, store: Store, rows: Iterable[ClaimedRow]) -> None:
        """Hold what a dead process has left in that file, which stays this process's. Now it counts as begun."""
        with self._lock:
            leases = [row.task.lease for row in rows]
            store.begin(leases)
            self._adopted |= dict.fromkeys(leases, store)

    def adopted_from(self, store: Store) -> set[Lease]:
        """The tasks in that file which this process has adopted and not let go."""
        with self._lock:
            return {lease for lease, place in self._adopted.items() if place is store}

    # --- tasks to be created ---------------------------------------------------------------------------------------

    def want(self, creations: Sequence[Creation]) -> bool:
        """Have tasks on disk that are to be created. False if that cannot be, and an event has said why."""
        with self._lock:
            kept = self._write(lambda store: store.request(creations))
            if kept:
                self._wanted |= {each.key: each for each in creations if each.key not in self._wanted}
            return kept

    def wanted(self, limit: int) -> list[Creation]:
        """The oldest tasks that are still to be created, and the rest of the last one's call."""
        with self._lock:
            wanted = list(self._wanted.values())
        last = wanted[:limit][-1].call if wanted else ""
        return wanted[:limit] + [each for each in wanted[limit:] if last and each.call == last]

    def created(self, creations: Iterable[Creation]) -> None:
        """Forget tasks that the server has created, or refused for good."""
        creations = list(creations)
        with self._lock:
            for creation in creations:
                self._wanted.pop(creation.key, None)
            if self._store is not None:
                self._try(self._store, lambda store: store.forget_creations(creations))

    # --- the files -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Leave what is kept to whoever comes next; the last call."""
        with self._lock:
            store, self._store = self._store, None
            if store is not None:
                with suppress(StoreError, OSError):
                    if not self._unanswered:
                        store.ask(None)
                    (self._folder.discard if store.is_empty else self._folder.release)(store)

    def _write(self, write: Callable[[Store], None]) -> bool:
        """Write to the own file, a new one if there is none that can be used; False, and an event, if that fails."""
        try:
            try:
                write(self._own())
            except StoreDamaged as error:
                self._begin_anew(error)
                write(self._own())
        except StoreFull as error:
            self._tell("journal.full", error)
        except (OSError, StoreError) as error:
            self._tell("journal.unusable", error)
        else:
            self._trouble = ""
            return True
        return False

    def _note(self, leases: Iterable[Lease], write: Callable[[Store, list[Lease]], None]) -> None:
        with self._lock:
            places: dict[int, tuple[Store, list[Lease]]] = {}
            for lease in leases:
                store = self._adopted.get(lease, self._store)
                if store is not None:
                    places.setdefault(id(store), (store, []))[1].append(lease)
            for place, those in places.values():
                self._try(place, lambda store, those=those: write(store, those))  # type: ignore[misc]

    def _try(self, store: Store, write: Callable[[Store], None]) -> None:
        """Write what is not worth an error: should it be missing, something is done again, and refused."""
        try:
            write(store)
        except StoreDamaged as error:
            if store is self._store:
                self._begin_anew(error)
            else:
                self._tell("journal.unusable", error)
        except StoreError as error:
            self._tell("journal.unusable", error)

    def _own(self) -> Store:
        if self._store is None:
            self._store = self._folder.new_store()
        return self._store

    def _begin_anew(self, error: StoreDamaged) -> None:
        store, self._store = self._store, None
        if store is None:
            raise error
        self._folder.set_aside(store, error)
        fresh = self._own()
        fresh.ask(self._asked)
        for task, sent in self._held.values():
            fresh.hold([task], sent, self._asked)
        fresh.begin(self._held)  # some have; it is not known any more which
        fresh.request(list(self._wanted.values()))

    def _tell(self, trouble: str, error: Exception) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._observer.emit(trouble, error=str(error))
