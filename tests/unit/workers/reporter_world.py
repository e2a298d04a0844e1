"""A reporter with what it stands on, and a transport that does as told."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tests.unit.workers.making import MEGABYTE, lease, make_folder
from workers.offline.store import Store
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable
from workers.runtime.reporter import Reporter
from workers.transports.base import Note


class ScriptedTransport:
    """Notes what it is told, in order; raises `trouble` instead as long as there is any."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.asked = 0
        self.trouble: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        if notes or progress:
            self._take("record", list(notes), dict(progress))
        if outcomes:
            self._take("report", list(outcomes))
        return {each.lease: OutcomeVerdict.ACCEPTED for each in outcomes}

    def create_wanted(self) -> None:
        return

    def release(self, leases: Sequence[Lease]) -> None:
        self._take("release", list(leases))

    def forfeit(self, leases: Sequence[Lease]) -> None:
        self._take("forfeit", list(leases))

    def after_work(self) -> None:
        return

    def _take(self, *call: Any) -> None:
        self.asked += 1
        self.gate.wait(10)
        if self.trouble is not None:
            raise self.trouble
        self.told.append(call)

    @property
    def reported(self) -> list[int]:
        """The numbers of all outcomes that it was told."""
        return [each.lease.fencing_token for call in self.told if call[0] == "report" for each in call[1]]


class World:
    """A reporter with what it stands on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transport = ScriptedTransport()
        self.heard = Recorder()
        folder, self.of_folder = make_folder(path)
        self.held = HeldAttempts(HeldTable(50))
        self.reporter = Reporter(Observer(self.heard), self.transport, self.held, folder)

    def hold(self, *numbers: int) -> None:
        tasks = [LeasedTask(lease(n), "job", {}, 1, 60.0, 15.0, False, UUID(int=9)) for n in numbers]
        for attempt in self.held.add(tasks, LeaseTimer.sent_at()):
            self.held.finish(attempt)

    def on_disk(self) -> list[int]:
        """The numbers of the outcomes in the first file."""
        store = Store(self.path / "outbox-0.sqlite3", MEGABYTE)
        found = [each.lease.fencing_token for each in store.outcomes(1000)]
        store.close()
        return found

    def progress_on_disk(self) -> dict[Lease, int]:
        """How far attempts are, by the first file."""
        store = Store(self.path / "outbox-0.sqlite3", MEGABYTE)
        found = store.progress(1000)
        store.close()
        return found

    def come_back(self) -> None:
        """The server answers again, and it is time for the next try."""
        self.transport.trouble = None
        self.reporter._try_at = 0.0
