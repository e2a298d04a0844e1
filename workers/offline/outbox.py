"""What this process has not delivered: in memory always, and on disk as well once delivering it takes long.

Handlers' threads add to the ends of the lists, one thread delivers from their beginnings and says what was taken, and any
thread may save. So a file that turns out to be damaged or full costs nothing that this process still knows. Of how far an
attempt is only the newest word counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome
from workers.offline.errors import StoreDamaged, StoreError, StoreFull
from workers.offline.folder import OutboxFolder
from workers.offline.store import Store
from workers.transports.base import Note


class Outbox:
    """Outcomes and log lines in their order, and progress. Add to the lists by `append` alone, the lines of an attempt before
    its outcome.

    With `always` everything goes to disk, so the file stays until `leave`: to make one costs as much as many deliveries.
    """

    def __init__(self, observer: Observer, folder: OutboxFolder, *, always: bool = False) -> None:
        self.outcomes: list[Outcome] = []
        self.notes: list[Note] = []
        self._observer = observer
        self._folder = folder
        self._always = always
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._kept_outcomes = self._kept_notes = 0  # so many of the first are on disk as well
        self._progress: dict[Lease, int] = {}
        self._kept_progress: dict[Lease, int] = {}
        self._progress_lock = threading.Lock()  # of its own: a handler must not wait for the disk
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
            kept_lists = self._kept_outcomes == len(self.outcomes) and self._kept_notes == len(self.notes)
            return kept_lists and not self._unkept_progress()

    def leave(self) -> bool:
        """As `keep`, as the last call: a file in which nothing is kept goes."""
        kept = self.keep()
        with self._lock, suppress(OSError, StoreError):
            if not self._keeps_something:
                self._discard()
        return kept

    def note_progress(self, lease: Lease, percent: int) -> None:
        """Take over how far an attempt is."""
        with self._progress_lock:
            self._progress[lease] = percent

    def progress(self) -> dict[Lease, int]:
        """How far attempts are, as far as that has not been delivered."""
        with self._progress_lock:
            return dict(self._progress)

    def progress_taken(self, told: Mapping[Lease, int]) -> None:
        """The server has taken that; what was noted since is still to be told."""
        with self._progress_lock:
            for lease in [lease for lease, percent in told.items() if self._progress.get(lease) == percent]:
                del self._progress[lease]
        with self._lock:
            kept = [lease for lease in told if self._kept_progress.pop(lease, None) is not None]
            if kept:
                self._forget(lambda store: store.forget_progress(kept))

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
        progress = self._unkept_progress()
        if not (outcomes or notes or progress):
            return
        try:
            self._add(outcomes, notes, progress)
        except StoreFull:
            for outcome in outcomes:  # as many as fit: they matter more than the rest
                self._add([outcome], [], {})
            raise
        except StoreDamaged as error:
            if not self._keeps_something:  # not even a new file can be used
                self._discard()
                raise
            self._set_aside(error)
            self._keep_all()

    def _unkept_progress(self) -> dict[Lease, int]:
        return {
            lease: percent for lease, percent in self.progress().items() if self._kept_progress.get(lease) != percent
        }

    @property
    def _keeps_something(self) -> bool:
        return bool(self._kept_outcomes or self._kept_notes or self._kept_progress)

    def _add(self, outcomes: Sequence[Outcome], notes: Sequence[Note], progress: Mapping[Lease, int]) -> None:
        if self._store is None:
            self._store = self._folder.new_store()
        self._store.keep(outcomes, notes, progress)
        self._kept_outcomes += len(outcomes)
        self._kept_notes += len(notes)
        self._kept_progress |= progress
        self._observer.emit("outbox.kept", outcomes=len(outcomes), log_lines=len(notes), file=str(self._store.path))

    def _forget(self, forget: Callable[[Store], None]) -> None:
        """What stays by an accident is delivered once more by whoever finds it, and known by then."""
        try:
            if self._store is not None and (self._always or self._keeps_something):
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
        self._kept_progress.clear()
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
