"""What a process holds and wants is on disk before it counts, whatever befalls its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.workers.making import (
    MEGABYTE,
    claimed,
    creation,
    files_in,
    in_a_process_that_is_killed,
    lease,
    make_folder,
)
from workers.offline.folder import OutboxFolder
from workers.offline.journal import Journal
from workers.offline.rows import AskedClaim

SENT = (1.0, 2.0, 3.0)


@pytest.fixture
def heard() -> Recorder:
    return Recorder()


@pytest.fixture
def folder(path: Path) -> OutboxFolder:
    return make_folder(path)[0]


@pytest.fixture
def journal(folder: OutboxFolder, heard: Recorder) -> Journal:
    return Journal(Observer(heard), folder)


def left_behind(path: Path) -> tuple[list[tuple[int, bool]], list[str]]:
    """What a successor finds: the numbers of the claimed tasks, whether they had begun, and the keys of creations."""
    store = make_folder(path)[0].inherit()
    assert store is not None
    rows = [(row.task.lease.fencing_token, row.begun) for row in store.claimed()]
    return rows, [each.key for each in store.creations(100)]


def test_a_killed_process_leaves_what_it_held_and_wanted(path):
    def hold_and_die() -> None:
        journal = Journal(Observer(), make_folder(path)[0])
        assert journal.hold([claimed(1), claimed(2), claimed(3)], SENT)
        assert journal.want([creation("a"), creation("b")])
        journal.begin([lease(2)])
        journal.let_go([lease(1)])
        journal.created([creation("a")])

    in_a_process_that_is_killed(hold_and_die)

    assert left_behind(path) == ([(2, True), (3, False)], ["b"])


def asked(number: int) -> AskedClaim:
    return AskedClaim(UUID(int=7), UUID(int=number))


def test_a_killed_process_leaves_the_claim_that_was_not_answered(path):
    def ask_and_die() -> None:
        journal = Journal(Observer(), make_folder(path)[0])
        journal.ask(asked(1))
        journal.answered()
        assert journal.hold([claimed(1)], SENT, asked(2))
        journal.ask(asked(2))

    in_a_process_that_is_killed(ask_and_die)

    store = make_folder(path)[0].inherit()
    assert store.asked() == asked(2)


@pytest.mark.parametrize("is_answered", [True, False])
def test_one_that_leaves_in_order_leaves_only_a_claim_that_was_not_answered(journal, path, is_answered):
    journal.ask(asked(1))
    if is_answered:
        journal.answered()

    journal.leave()

    assert len(files_in(path)) == (0 if is_answered else 1)


def test_of_tasks_that_are_created_together_all_are_wanted_if_one_is(journal):
    together = [replace(creation(key), call="one") for key in "bc"]
    journal.want([creation("a"), *together, creation("d")])

    assert [each.key for each in journal.wanted(1)] == ["a"]
    assert [each.key for each in journal.wanted(2)] == ["a", "b", "c"]


def test_one_that_leaves_with_nothing_leaves_no_file(journal, path):
    journal.hold([claimed(1)], SENT)
    journal.let_go([lease(1)])

    journal.leave()

    assert files_in(path) == []


def test_a_file_damaged_meanwhile_is_put_aside_and_all_that_is_known_written_anew(journal, folder, path):
    journal.hold([claimed(1)], SENT)
    journal.want([creation("a")])
    journal._store._connection.execute("DROP TABLE claimed")

    assert journal.hold([claimed(2)], SENT)

    journal.leave()
    assert left_behind(path) == ([(1, True), (2, False)], ["a"])
    assert (path / "outbox-0.sqlite3.damaged-1").exists()


def test_what_does_not_fit_is_refused_and_said_once_and_what_was_held_stays(tmp_path, path, heard):
    journal = Journal(Observer(heard), make_folder(path, MEGABYTE)[0])
    assert journal.hold([claimed(1)], SENT)
    heavy = [claimed(number, ballast="x" * 300_000) for number in (2, 3, 4, 5)]

    assert not journal.hold(heavy, SENT)
    assert not journal.hold(heavy, SENT)

    assert [event.name for event in heard.events] == ["journal.full"]
    assert journal.hold([claimed(6)], SENT)
    journal.leave()
    assert left_behind(path)[0] == [(1, False), (6, False)]


def test_a_place_that_cannot_be_written_holds_nothing_and_says_so(journal, path, heard):
    path.touch()  # where the folder should be

    assert not journal.hold([claimed(1)], SENT)
    assert not journal.want([creation("a")])

    assert [event.name for event in heard.events] == ["journal.unusable"]
    assert journal.wanted(10) == []


def test_adopted_tasks_stay_in_their_file_as_begun_until_they_are_let_go(journal, folder, path):
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().hold([claimed(1), claimed(2)], SENT))
    store = folder.inherit()
    rows = store.claimed()

    journal.adopt(store, rows)

    assert [row.begun for row in store.claimed()] == [True, True]
    assert journal.adopted_from(store) == {lease(1), lease(2)}
    journal.let_go([lease(1)])
    assert journal.adopted_from(store) == {lease(2)}
    assert [row.task.lease for row in store.claimed()] == [lease(2)]


def test_a_key_that_is_wanted_twice_is_one_and_the_oldest_come_first(journal):
    journal.want([creation("a"), creation("b")])
    journal.want([creation("c"), creation("a")])

    assert [each.key for each in journal.wanted(10)] == ["a", "b", "c"]
    assert [each.key for each in journal.wanted(2)] == ["a", "b"]
