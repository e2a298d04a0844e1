"""What this process has not delivered: in memory always, and on disk as well once delivering it takes long.

Handlers' threads add to the ends of the lists, one thread delivers from their beginnings and says what was taken, and any
thread may save. So a file that turns out to be damaged or full costs nothing that this process still knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dtq_site.foundation.observer import Observer
from tasks.domain.outcome import Outcome
from workers.offline.folder import OutboxFolder
from workers.offline.store import Store, StoreDamaged, StoreError, StoreFull
from workers.transports.base import Note


class Outbox:
    """Outcomes and log lines in their order. Add to the lists by `append` alone, the lines of an attempt before its outcome."""

    def __init__(self, observer: Observer, folder: OutboxFolder) -> None:
        self.outcomes: list[Outcome] = []
        self.notes: list[Note] = []
        self._observer = observer
        self._folder = folder
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._kept_outcomes = self._kept_notes = 0  # so many of the first are on disk as well
        self._trouble = ""

    def keep(self) -> bool:
        """Have everything on disk. False if that cannot be; an event says so when it begins."""
        with self._lock:
            try:
                self._keep_all()
                self._trouble = ""
            except StoreFull as error:
                self._tell("outbox.full", error)
            except (OSError, StoreError) as error:
                self._tell("outbox.unusable", error)
            return self._kept_outcomes == len(self.outcomes) and self._kept_notes == len(self.notes)

    def outcomes_taken(self, count: int) -> None:
        """The server has taken the first outcomes."""
        with self._lock:
            kept = self.outcomes[: min(count, self._kept_outcomes)]
            del self.outcomes[:count]
            self._kept_outcomes -= len(kept)
            self._forget(lambda store: store.forget_outcomes([outcome.lease for outcome in kept]))

    def notes_taken(self, count: int) -> None:
        """The server has taken the first log lines."""
        with self._lock:
            kept = self.notes[: min(count, self._kept_notes)]
            del self.notes[:count]
            self._kept_notes -= len(kept)
            self._forget(lambda store: store.forget_notes(kept))

    def _keep_all(self) -> None:
        outcomes = self.outcomes[self._kept_outcomes :]  # before the lines, so that theirs are among those
        notes = self.notes[self._kept_notes :]
        if not outcomes and not notes:
            return
        try:
            self._add(outcomes, notes)
        except StoreFull:
            for outcome in outcomes:  # as many as fit: they matter more than the lines
                self._add([outcome], [])
            raise
        except StoreDamaged as error:
            if not (self._kept_outcomes or self._kept_notes):  # not even a new file can be used
                self._discard()
                raise
            self._set_aside(error)
            self._keep_all()

    def _add(self, outcomes: Sequence[Outcome], notes: Sequence[Note]) -> None:
        if self._store is None:
            self._store = self._folder.new_store()
        self._store.keep(outcomes, notes)
        self._kept_outcomes += len(outcomes)
        self._kept_notes += len(notes)
        self._observer.emit("outbox.kept", outcomes=len(outcomes), log_lines=len(notes), file=str(self._store.path))

    def _forget(self, forget: Callable[[Store], None]) -> None:
        """What stays by an accident is delivered once more by whoever finds it, and known by then."""
        try:
            if self._store is not None and (self._kept_outcomes or self._kept_notes):
                forget(self._store)
            else:
                self._discard()
        except StoreDamaged as error:
            self._set_aside(error)
        except (OSError, StoreError) as error:
            self._tell("outbox.unusable", error)

    def _discard(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            self._folder.discard(store)

    def _set_aside(self, error: StoreDamaged) -> None:
        store, self._store = self._store, None
        self._kept_outcomes = self._kept_notes = 0
        if store is not None:
            self._folder.set_aside(store, error)

    def _tell(self, trouble: str, error: Exception) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._observer.emit(
                trouble,
                error=str(error),
                only_in_memory=len(self.outcomes) - self._kept_outcomes,
                lines_only_in_memory=len(self.notes) - self._kept_notes,
            )
