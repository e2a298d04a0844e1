"""What a dead process held: what had not begun is run here, what had is given up, and its file stays for as long as needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.lease import Lease, RenewalVerdict
from tasks.domain.outcome import Outcome, OutcomeVerdict
from tests.unit.workers.making import claimed, files_in, in_a_process_that_is_killed, lease, make_folder, outcome
from tests.unit.workers.remote_world import CARD
from workers.offline.errors import StoreFull
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim, ClaimedRow
from workers.offline.store import Store
from workers.runtime.adoption import Adoption
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable, State
from workers.runtime.inheritance import Inheritance
from workers.runtime.journaling import Journaling
from workers.transports.base import Note, Renewal, Unreachable
from workers.transports.remote_keeping import RemoteKeeping


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

    def __init__(self, path: Path) -> None:
        self.server = Server()
        self.folder, self.heard = make_folder(path)
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def heir(path: Path) -> Heir:
    return Heir(path)


def left_by_the_dead(
    path: Path, *numbers: int, begun: Sequence[int] = (), first: Sequence[int] = (), given_up: Sequence[int] = ()
) -> None:
    def hold() -> None:
        store = make_folder(path)[0].new_store()
        tasks = [replace(claimed(number), begin_first=number in first) for number in numbers]
        store.hold(tasks, LeaseTimer.sent_at())
        store.begin([lease(number) for number in begun])
        store.give_up([lease(number) for number in given_up])

    in_a_process_that_is_killed(hold)


def test_what_had_not_begun_is_run_and_what_had_is_given_up(heir, path):
    left_by_the_dead(path, 1, 2, 3, begun=[2])

    heir.inherit()

    assert heir.runs == [1, 3]
    assert heir.server.told == [("forfeit", [2])]
    assert heir.adopted[0].task.lease_seconds == 900.0
    assert heir.inheritance.caught_up


def test_what_the_server_has_given_to_others_meanwhile_is_not_run(heir, path):
    left_by_the_dead(path, 1, 2)
    heir.server.gone = {lease(1)}

    heir.inherit()

    assert heir.runs == [2]


def test_without_the_server_it_is_run_by_its_own_clock_and_the_rest_is_told_later(heir, path):
    left_by_the_dead(path, 1, 2, begun=[2])
    heir.server.away = True

    with pytest.raises(Unreachable):
        heir.inherit()

    assert (heir.runs, heir.adopted[0].task.lease_seconds) == ([1], 15.0)
    assert not heir.inheritance.caught_up
    heir.server.away = False
    heir.inherit()
    assert (heir.runs, heir.server.told) == ([1], [("forfeit", [2])])


def test_one_that_must_be_known_to_begin_is_given_back(heir, path):
    left_by_the_dead(path, 1, 2, first=[1])

    heir.inherit()

    assert (heir.runs, heir.server.told) == ([2], [("release", [1])])


def test_what_was_being_given_back_is_not_run_even_while_the_server_is_away_but_given_back(heir, path):
    left_by_the_dead(path, 1, 2, given_up=[1])
    heir.server.away = True
    with pytest.raises(Unreachable):
        heir.inherit()
    assert heir.runs == [2]
    heir.server.away = False

    heir.inherit()

    assert (heir.runs, heir.server.told) == ([2], [("release", [1])])


def test_one_whose_outcome_is_kept_is_delivered_and_never_run_again(heir, path):
    left_by_the_dead(path, 1, 2)
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(1)], []))

    heir.inherit()

    assert heir.runs == [2]
    assert heir.server.told == [("report", [1])]


def test_the_claim_that_a_dead_process_had_sent_is_undone_once_and_its_file_goes(heir, path):
    asked = AskedClaim(UUID(int=5), UUID(int=6))

    def ask_and_die() -> None:
        Journal(Observer(Recorder()), make_folder(path)[0]).ask(asked)

    in_a_process_that_is_killed(ask_and_die)
    heir.server.away = True
    with pytest.raises(Unreachable):
        heir.inherit()
    heir.server.away = False

    heir.inherit()
    heir.inherit()

    assert heir.server.undone == [asked]
    assert files_in(path) == []


def test_how_far_the_dead_were_is_told_before_their_outcomes(heir, path):
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(1)], [], {lease(2): 70}))

    heir.inherit()

    assert heir.server.told == [("progress", [2]), ("report", [1])]
    assert files_in(path) == []


def test_the_outcome_of_a_handler_that_must_be_killed_is_on_disk_before_and_takes_the_place_of_a_loss(heir, path):
    left_by_the_dead(path, 1, 2, begun=[1, 2])
    keeping = RemoteKeeping(Observer(heir.heard), heir.server, CARD, heir.folder)

    keeping.doom([outcome(1)])
    keeping.settle_dead([outcome(1)], [lease(2)], [])
    assert heir.server.told == []
    heir.inherit()

    assert sorted(heir.server.told) == [("forfeit", [2]), ("report", [1])]
    assert heir.runs == []


def test_a_handler_that_must_be_killed_is_so_on_a_full_disk_too_and_nothing_is_left_open(heir, path, monkeypatch):
    def no_room(store: Store, *told: object) -> None:
        raise StoreFull("the disk has no room for it")

    monkeypatch.setattr(Store, "keep", no_room)
    keeping = RemoteKeeping(Observer(heir.heard), heir.server, CARD, heir.folder)

    for _ in range(2):
        keeping.doom([outcome(1)])

    assert [event.facts["error"] for event in heir.heard.named("outbox.unusable")] == [
        "the disk has no room for it"
    ] * 2
    assert (files_in(path), heir.folder._held) == ([], {})


def test_an_adopted_task_counts_as_begun_for_the_next_heir_and_its_file_goes_when_it_is_settled(heir, path):
    left_by_the_dead(path, 1, 2)
    heir.inherit()
    (store,) = {id(each): each for each in heir.journal._adopted.values()}.values()
    assert [row.begun for row in store.claimed()] == [True, True]
    assert files_in(path) == ["outbox-0.sqlite3"]

    heir.journal.let_go([lease(1), lease(2)])
    heir.inheritance._look_at = 0.0
    heir.inherit()

    assert files_in(path) == []


def test_an_heir_that_leaves_removes_the_files_of_which_all_is_settled_and_no_others(heir, path):
    left_by_the_dead(path, 1)
    left_by_the_dead(path, 2)
    heir.inherit()
    heir.journal.let_go([lease(1)])

    heir.inheritance.leave()

    assert files_in(path) == ["outbox-1.sqlite3"]


def test_an_heir_that_leaves_while_it_is_at_a_file_removes_it_if_nothing_is_left_in_it(heir, path):
    left_by_the_dead(path, 1, 2, begun=[2])
    heir.server.away = True
    with pytest.raises(Unreachable):
        heir.inherit()

    heir.journal.let_go([lease(1), lease(2)])
    heir.inheritance._store.let_go([lease(2)])
    heir.inheritance.leave()

    assert files_in(path) == []


def test_an_heir_gives_up_nothing_that_it_runs_when_its_disk_fills_up(heir, path, monkeypatch):
    def left() -> None:
        store = make_folder(path)[0].new_store()
        store.hold([claimed(1)], LeaseTimer.sent_at())
        store.keep([outcome(2)], [])

    def no_room(store: Store, leases: object) -> None:
        raise StoreFull("the disk has no room for it")

    in_a_process_that_is_killed(left)
    with monkeypatch.context() as full:
        full.setattr(Store, "forget_outcomes", no_room)
        heir.inherit()
    assert (heir.runs, heir.inheritance.caught_up) == ([1], True)
    heir.inheritance._look_at = 0.0

    heir.inherit()

    assert heir.runs == [1]
    assert heir.server.told == [("report", [2]), ("report", [2])]
    heir.journal.let_go([lease(1)])
    heir.inheritance._look_at = 0.0
    heir.inherit()
    assert files_in(path) == []


def test_what_runs_for_long_and_how_far_leases_last_is_noted_for_an_heir(path):
    folder, _ = make_folder(path)
    journal = Journal(Observer(Recorder()), folder)
    held = HeldAttempts(HeldTable(10))
    sent = LeaseTimer.sent_at()
    tasks = [claimed(number) for number in (1, 2)]
    assert journal.hold(tasks, sent)
    attempts = held.add(tasks, sent)
    noting = Journaling(Observer(Recorder()), held, journal)
    for attempt in attempts:
        attempt.start()
    held.table.started_at[attempts[0].row] -= 0.3
    renewed = (sent[0] + 1, sent[1] + 1, sent[2] + 1)
    held.table.renew(attempts[1].row, renewed, 3600.0)

    noting.run_once()

    first, second = journal._store.claimed()
    assert (first.begun, second.begun) == (True, False)
    assert (second.task.lease_seconds, second.sent) == (3600.0, renewed)

    again = (sent[0] + 2, sent[1] + 2, sent[2] + 2)
    held.table.renew(attempts[1].row, again, 3600.0)
    noting.run_once()
    assert journal._store.claimed()[1].sent == renewed  # of a mere renewal it is enough to know now and then
    noting._extend_at = 0.0
    noting.run_once()
    assert journal._store.claimed()[1].sent == again


def test_what_the_keeper_gives_back_is_noted_for_an_heir_at_once(path):
    journal = Journal(Observer(Recorder()), make_folder(path)[0])
    held = HeldAttempts(HeldTable(10))
    sent = LeaseTimer.sent_at()
    tasks = [claimed(number) for number in (1, 2, 3)]
    assert journal.hold(tasks, sent)
    first, second, _ = held.add(tasks, sent)
    noting = Journaling(Observer(Recorder()), held, journal)
    held.table.state[first.row], held.table.state[second.row] = State.WITHDRAWN, State.RETURNED

    noting.run_once()

    assert [row.given_up for row in journal._store.claimed()] == [True, True, False]
