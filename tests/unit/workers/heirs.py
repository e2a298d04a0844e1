"""A process that inherits the outbox of the dead, what these have left, and the server that both know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tests.unit.workers.making import claimed, in_a_process_that_is_killed, lease, make_folder
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim, ClaimedRow
from workers.runtime.adoption import Adoption
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable
from workers.runtime.inheritance import Inheritance
from workers.transports.base import Note, Renewal, Unreachable


class Server:
    """Renews all leases but those it has given to others; notes what else it is told."""

    def __init__(self) -> None:
        self.away = False
        self.gone: set[Lease] = set()
        self.told: list[tuple[str, list[int]]] = []
        self.undone: list[AskedClaim] = []

    def renew(self, leases: Sequence[Lease], length: timedelta) -> dict[Lease, Renewal]:
        self._asked()
        lost = Renewal(RenewalVerdict.LOST, 0.0)
        return {each: lost if each in self.gone else Renewal(RenewalVerdict.RENEWED, 900.0) for each in leases}

    def tell(
        self, notes: Sequence[Note], progress: Mapping[Lease, int], outcomes: Sequence[Outcome]
    ) -> dict[Lease, OutcomeVerdict]:
        for what, leases in (("progress", list(progress)), ("report", [each.lease for each in outcomes])):
            if leases:
                self._tell(what, leases)
        return {each.lease: OutcomeVerdict.ACCEPTED for each in outcomes}

    def forfeit(self, leases: Sequence[Lease]) -> None:
        self._tell("forfeit", leases)

    def release(self, leases: Sequence[Lease]) -> None:
        self._tell("release", leases)

    def undo_claim(self, asked: AskedClaim) -> None:
        self._asked()
        self.undone.append(asked)

    def _tell(self, what: str, leases: Sequence[Lease]) -> None:
        self._asked()
        self.told.append((what, [each.fencing_token for each in leases]))

    def _asked(self) -> None:
        if self.away:
            raise Unreachable("cut")


class Heir:
    """A process that comes after, with all that it needs to inherit."""

    def __init__(self, path: Path, server: str = "") -> None:
        self.server = Server()
        self.folder, self.heard = make_folder(path, server=server)
        self.journal = Journal(Observer(self.heard), self.folder)
        self.held = HeldAttempts(HeldTable(20))
        self.adopted: list[ClaimedRow] = []
        adoption = Adoption(self.server, self.held, self.folder, self.journal, self.adopted.extend)
        self.inheritance = Inheritance(Observer(self.heard), self.server, self.folder, adoption)

    def inherit(self) -> None:
        """Deal with everything that lies there."""
        while self.inheritance.deliver_some() == 0:
            continue

    @property
    def runs(self) -> list[int]:
        return [row.task.lease.fencing_token for row in self.adopted]


def left_by_the_dead(
    path: Path,
    *numbers: int,
    begun: Sequence[int] = (),
    first: Sequence[int] = (),
    given_up: Sequence[int] = (),
    unknown: Sequence[int] = (),
) -> None:
    """Have a process hold tasks with these numbers, and be killed. It knows a handler that its heir does not."""

    def hold() -> None:
        store = make_folder(path)[0].new_store()
        names = ["unknown" if number in unknown else "job" for number in numbers]
        tasks = [
            replace(claimed(number), name=name, begin_first=number in first)
            for number, name in zip(numbers, names, strict=True)
        ]
        store.hold(tasks, LeaseTimer.sent_at())
        store.begin([lease(number) for number in begun])
        store.give_up([lease(number) for number in given_up])

    in_a_process_that_is_killed(hold)
