"""What a process has not delivered: memory has all of it, and the disk what it was told to keep."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtq_site.foundation.observer import Observer, Recorder
from tasks.domain.lease import Lease
from tests.unit.workers.making import MEGABYTE, files_in, lease, make_folder, note, outcome
from workers.offline import files
from workers.offline import store as stores
from workers.offline.errors import StoreError
from workers.offline.outbox import Outbox
from workers.offline.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def heard() -> Recorder:
    return Recorder()


@pytest.fixture
def outbox(path: Path, heard: Recorder) -> Outbox:
    folder, _ = make_folder(path)
    return Outbox(Observer(heard), folder)


def on_disk(path: Path) -> tuple[list[int], list[int]]:
    """The numbers of the outcomes and of the log lines in the first file."""
    store = Store(path / "outbox-0.sqlite3", MEGABYTE)
    found = [[each.lease.fencing_token for each in kept] for kept in (store.outcomes(1000), store.notes(1000))]
    store.close()
    return found[0], found[1]


def progress_on_disk(path: Path) -> dict[Lease, int]:
    store = Store(path / "outbox-0.sqlite3", MEGABYTE)
    found = store.progress(1000)
    store.close()
    return found


def test_in_good_times_nothing_touches_the_disk(outbox, path, heard):
    outbox.notes += [note(1)]
    outbox.outcomes += [outcome(1), outcome(2)]

    outbox.notes_taken(1)
    outbox.outcomes_taken(1)

    assert (outbox.outcomes, outbox.notes) == ([outcome(2)], [])
    assert not path.exists()
    assert heard.events == []


def test_of_progress_the_newest_word_is_kept_and_leaves_with_the_file_once_it_is_taken(outbox, path):
    outbox.note_progress(lease(1), 10)
    outbox.note_progress(lease(2), 50)
    assert outbox.keep()
    told = outbox.progress()
    outbox.note_progress(lease(1), 20)
    assert outbox.keep()
    assert progress_on_disk(path) == {lease(1): 20, lease(2): 50}

    outbox.progress_taken(told)

    assert outbox.progress() == {lease(1): 20}
    assert outbox.keep()
    assert progress_on_disk(path) == {lease(1): 20}
    outbox.progress_taken({lease(1): 20})
    assert (outbox.progress(), path.joinpath("outbox-0.sqlite3").exists()) == ({}, False)


def test_what_is_kept_goes_to_disk_once_and_stays_in_memory(outbox, path, heard):
    outbox.notes += [note(1)]
    outbox.outcomes += [outcome(1)]
    assert outbox.keep()
    outbox.outcomes += [outcome(2)]

    assert outbox.keep()
    assert outbox.keep()

    assert on_disk(path) == ([1, 2], [1])
    assert outbox.outcomes == [outcome(1), outcome(2)]
    told = [(event.name, event.facts["outcomes"], event.facts["log_lines"]) for event in heard.events]
    assert told == [("outbox.kept", 1, 1), ("outbox.kept", 1, 0)]


def test_what_was_taken_goes_from_disk_and_the_file_with_the_last(outbox, path):
    outbox.notes += [note(1), note(2)]
    outbox.outcomes += [outcome(1), outcome(2), outcome(3)]
    outbox.keep()
    outbox.outcomes += [outcome(4)]

    outbox.notes_taken(1)
    outbox.outcomes_taken(2)
    assert on_disk(path) == ([3], [2])

    outbox.notes_taken(1)
    outbox.outcomes_taken(2)  # one of them was never kept
    assert files_in(path) == []
    assert (outbox.outcomes, outbox.notes) == ([], [])

    outbox.outcomes += [outcome(5)]
    assert outbox.keep()
    assert on_disk(path) == ([5], [])


def test_a_full_file_keeps_what_fits_outcomes_first_and_says_once_what_it_does_not(outbox, path, heard):
    outbox.notes += [note(number, message="x" * 900) for number in range(2000)]
    outbox.outcomes += [outcome(number) for number in range(10)]

    assert not outbox.keep()
    assert not outbox.keep()

    assert on_disk(path) == (list(range(10)), [])
    (full,) = heard.named("outbox.full")
    assert (full.facts["only_in_memory"], full.facts["lines_only_in_memory"]) == (0, 2000)
    assert len(outbox.notes) == 2000

    outbox.notes_taken(1990)
    assert outbox.keep()
    assert on_disk(path) == (list(range(10)), list(range(1990, 2000)))


def test_outcomes_beyond_the_bound_stay_in_memory_and_follow_when_there_is_room(outbox, path, heard):
    outbox.outcomes += [outcome(number, "x" * 300_000) for number in range(6)]

    assert not outbox.keep()

    kept, _ = on_disk(path)
    assert kept == [0, 1, 2]
    (full,) = heard.named("outbox.full")
    assert full.facts["only_in_memory"] == 3

    outbox.outcomes_taken(3)
    assert outbox.keep()
    assert on_disk(path) == ([3, 4, 5], [])


def test_a_file_damaged_meanwhile_is_put_aside_and_everything_kept_anew(outbox, path, monkeypatch):
    outbox.outcomes += [outcome(1)]
    outbox.keep()
    outbox._store._connection.execute("DROP TABLE outcome")
    outbox.outcomes += [outcome(2)]

    assert outbox.keep()

    assert on_disk(path) == ([1, 2], [])
    assert (path / "outbox-0.sqlite3.damaged-1").exists()


def test_damage_that_shows_when_something_was_taken_costs_nothing(outbox, path):
    outbox.outcomes += [outcome(1), outcome(2)]
    outbox.keep()
    outbox._store._connection.execute("DROP TABLE outcome")

    outbox.outcomes_taken(1)

    assert outbox.outcomes == [outcome(2)]
    assert (path / "outbox-0.sqlite3.damaged-1").exists()
    assert outbox.keep()
    assert on_disk(path) == ([2], [])


def test_a_disk_that_refuses_is_told_once_and_tried_again(outbox, path, heard, monkeypatch):
    outbox.outcomes += [outcome(1)]
    path.touch()  # where the folder should be

    assert not outbox.keep()
    assert not outbox.keep()

    (event,) = heard.named("outbox.unusable")
    assert event.facts["only_in_memory"] == 1 and "File exists" in event.facts["error"]
    assert outbox.outcomes == [outcome(1)]
    os.unlink(path)
    assert outbox.keep()
    assert on_disk(path) == ([1], [])


def test_what_cannot_be_removed_is_told_and_taken_all_the_same(outbox, heard, monkeypatch):
    def refuse(self, leases):
        raise StoreError("the disk is read-only")

    outbox.outcomes += [outcome(1), outcome(2)]
    outbox.keep()
    monkeypatch.setattr(stores.Store, "forget_outcomes", refuse)

    outbox.outcomes_taken(1)

    assert outbox.outcomes == [outcome(2)]
    (event,) = heard.named("outbox.unusable")
    assert event.facts["error"] == "the disk is read-only"


def test_a_new_file_that_is_damaged_at_once_is_told_and_not_tried_without_end(outbox, path, heard, monkeypatch):
    monkeypatch.setattr(files, "_SCHEMAS", [Path(os.devnull)] * files.VERSION)
    outbox.outcomes += [outcome(1)]

    assert not outbox.keep()
    assert not outbox.keep()

    (event,) = heard.events
    assert (event.name, event.facts["only_in_memory"]) == ("outbox.unusable", 1)
    assert files_in(path) == []
