"""One file of the outbox: what is kept survives, what cannot be read or is too much is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome, OutcomeKind
from tests.unit.workers.making import MEGABYTE, in_a_process_that_is_killed, lease, note, open_store, outcome
from workers.offline.errors import StoreDamaged, StoreError, StoreFull, StoreTooNew
from workers.offline.files import leases_in
from workers.offline.store import VERSION
from workers.transports.base import Note

FAILED = Outcome(
    Lease(UUID(int=5), 2**40, UUID(int=6)), OutcomeKind.FAILED, 1.5, error="no file 'x\udcff'", retry_delay_seconds=2.5
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox-0.sqlite3"


def test_what_was_kept_survives_kill_9_in_its_order(path):
    values = [{"rows": [1, 2.5, "ü\ud800", None, True, 2**60]}, None, [], 0, "", False]
    outcomes = [outcome(9 - number, value) for number, value in enumerate(values)]

    in_a_process_that_is_killed(lambda: open_store(path).keep(outcomes, [note(9, 2), note(9, 1)]))

    store = open_store(path)
    assert store.outcomes(100) == outcomes
    assert store.notes(100) == [note(9, 2), note(9, 1)]


def test_all_that_an_outcome_says_is_kept_and_half_characters_are_spelled_out(path):
    store = open_store(path)

    store.keep([FAILED], [note(5, message="half: \udcff")])

    (kept,) = store.outcomes(1)
    assert kept == Outcome(FAILED.lease, FAILED.kind, 1.5, None, "no file 'x\\udcff'", 2.5)
    assert store.notes(1) == [Note(lease(5), 1, 1, "info", "half: \\udcff")]


def test_a_process_killed_before_it_forgot_keeps_what_was_taken_and_no_other(path):
    def deliver_one() -> None:
        store = open_store(path)
        store.keep([outcome(1), outcome(2), outcome(3)], [note(1), note(2)])
        store.forget_notes([note(1)])
        store.forget_outcomes([lease(1)])

    in_a_process_that_is_killed(deliver_one)

    store = open_store(path)
    assert (store.outcomes(100), store.notes(100)) == ([outcome(2), outcome(3)], [note(2)])


def test_what_is_kept_again_stays_as_it_was(path):
    store = open_store(path)
    store.keep([outcome(1, "first")], [note(1)])

    store.keep([outcome(1, "second"), outcome(2)], [note(1, message="other"), note(1, 2)])

    assert store.outcomes(100) == [outcome(1, "first"), outcome(2)]
    assert store.notes(100) == [note(1), note(1, 2)]


def test_reading_is_bounded_and_begins_with_the_oldest(path):
    store = open_store(path)
    store.keep([outcome(number) for number in range(5)], [note(number) for number in range(5)])

    assert store.outcomes(2) == [outcome(0), outcome(1)]
    assert store.notes(3) == [note(0), note(1), note(2)]


def test_a_full_file_takes_nothing_of_what_does_not_fit_and_keeps_the_rest(path):
    store = open_store(path, MEGABYTE)
    store.keep([outcome(1, "x" * 900_000)], [])

    with pytest.raises(StoreFull):
        store.keep([outcome(2), outcome(3, "x" * 300_000)], [note(2)])

    assert (store.outcomes(100), store.notes(100)) == ([outcome(1, "x" * 900_000)], [])
    store.keep([outcome(2)], [])
    store.forget_outcomes([lease(1)])
    store.keep([outcome(3, "x" * 300_000)], [])
    assert store.outcomes(100) == [outcome(2), outcome(3, "x" * 300_000)]


def test_on_a_small_disk_a_file_gives_back_what_it_no_longer_uses(path, monkeypatch):
    def disk_of_a_megabyte(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=MEGABYTE - sum(file.stat().st_size for file in folder.iterdir()))

    monkeypatch.setattr("workers.offline.store.shutil.disk_usage", disk_of_a_megabyte)
    store = open_store(path)
    for number in range(4):
        store.keep([outcome(number, "x" * 120_000)], [])
    store.forget_outcomes([lease(number) for number in range(4)])

    store.keep([outcome(5, "x" * 330_000)], [])

    assert [each.lease for each in store.outcomes(10)] == [lease(5)]
    with pytest.raises(StoreFull):
        store.keep([outcome(6, "x" * 330_000)], [])
    assert [each.lease for each in store.outcomes(10)] == [lease(5)]


def test_every_commit_reaches_the_disk(path):
    store = open_store(path)

    assert (store._value("PRAGMA journal_mode"), store._value("PRAGMA synchronous")) == ("wal", 2)


def overwrite_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xaa" * 4096
    path.write_bytes(content)


def spoil_a_row(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE outcome SET claim_id = 'none'")
    connection.close()


def drop_a_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE outcome")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b"no database at all" * 100), overwrite_the_middle, spoil_a_row, drop_a_table],
    ids=["garbage", "page", "row", "table"],
)
def test_a_damaged_file_says_so(path, damage):
    store = open_store(path)
    store.keep([outcome(1)], [])
    store.close()

    damage(path)

    with pytest.raises(StoreDamaged):
        open_store(path).outcomes(1)
    assert leases_in(path) == set()


def test_a_file_of_a_later_version_is_refused_with_both_versions_and_left_as_it_is(path):
    store = open_store(path)
    store.keep([outcome(1)], [])
    store._connection.execute(f"PRAGMA user_version = {VERSION + 7}")
    store.close()
    before = path.read_bytes()

    with pytest.raises(StoreTooNew, match=f"version {VERSION + 7}, and this worker reads versions up to {VERSION}"):
        open_store(path)

    assert path.read_bytes() == before


def test_a_process_killed_while_it_made_the_file_leaves_one_that_can_be_used(path):
    path.touch()

    store = open_store(path)

    store.keep([outcome(1)], [])
    assert store.outcomes(1) == [outcome(1)]


def test_a_place_that_cannot_be_written_is_no_damage(tmp_path):
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "no such folder" / "outbox-0.sqlite3")

    assert type(refused.value) is StoreError


def test_others_may_read_which_leases_are_kept_while_the_file_is_held(path):
    store = open_store(path)
    store.keep([outcome(1), outcome(2)], [note(3)])

    assert leases_in(path) == {lease(1), lease(2)}
    assert leases_in(path.with_name("outbox-1.sqlite3")) == set()
    assert not path.with_name("outbox-1.sqlite3").exists()


def test_a_removed_file_leaves_nothing_behind(path):
    store = open_store(path)
    store.keep([outcome(1)], [])

    store.remove()

    assert list(path.parent.iterdir()) == []
