"""The files of the dead and of their heirs: what is on disk before it counts, and how long it stays there."""

from __future__ import annotations

import pytest

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.workers.heirs import left_by_the_dead
from tests.unit.workers.making import claimed, files_in, in_a_process_that_is_killed, lease, make_folder, outcome
from tests.unit.workers.remote_world import CARD
from workers.offline.errors import StoreFull
from workers.offline.journal import Journal
from workers.offline.store import Store
from workers.runtime.attempt import HeldAttempts
from workers.runtime.held_table import HeldTable, State
from workers.runtime.journaling import Journaling
from workers.transports.base import Unreachable
from workers.transports.remote_keeping import RemoteKeeping


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
