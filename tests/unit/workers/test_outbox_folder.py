"""Whose which file is: one process holds a file, what a dead one has left is found, what cannot be read is put aside."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.unit.workers.making import files_in, in_a_process_that_is_killed, lease, make_folder, note, outcome
from workers.offline.folder import OutboxFolder
from workers.offline.store import VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def leave(folder: OutboxFolder, *numbers: int) -> None:
    """Keep outcomes in a new file, and end as one that is killed: the kernel gives up the lock."""
    store = folder.new_store()
    store.keep([outcome(number) for number in numbers], [])


def left_by_the_dead(path: Path, *numbers: int) -> None:
    in_a_process_that_is_killed(lambda: leave(make_folder(path)[0], *numbers))


@contextmanager
def held_by_another_process(path: Path, *numbers: int, leaves_a_child: bool = False) -> Iterator[None]:
    """Another process lives that keeps outcomes; it may leave a child that outlives it, as handlers do."""
    ours, theirs = multiprocessing.Pipe()

    def hold() -> None:
        leave(make_folder(path)[0], *numbers)
        theirs.send("held")
        theirs.recv()
        if leaves_a_child and os.fork() == 0:
            time.sleep(5)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=hold)
    process.start()
    assert ours.recv() == "held"
    yield
    ours.send("end")
    eventually(lambda: not process.is_alive(), 30)


def test_living_processes_have_a_file_each(path):
    with held_by_another_process(path, 1), held_by_another_process(path, 2):
        folder, _ = make_folder(path)
        folder.new_store()

        assert files_in(path) == ["outbox-0.sqlite3", "outbox-1.sqlite3", "outbox-2.sqlite3"]
        assert folder.inherit() is None


def test_what_a_killed_process_left_is_inherited_once(path):
    left_by_the_dead(path, 1, 2)
    folder, _ = make_folder(path)

    store = folder.inherit()

    assert store is not None and store.outcomes(10) == [outcome(1), outcome(2)]
    assert folder.inherit() is None
    folder.discard(store)
    assert files_in(path) == []
    assert folder.inherit() is None


def test_a_file_is_free_when_its_process_ends_though_a_child_of_that_lives_on(path):
    with held_by_another_process(path, 1, leaves_a_child=True):
        assert make_folder(path)[0].inherit() is None

    inherited = make_folder(path)[0].inherit()

    assert inherited is not None and inherited.outcomes(10) == [outcome(1)]


def test_every_file_that_nobody_holds_is_found_whatever_its_number(path):
    with held_by_another_process(path, 1), held_by_another_process(path, 2):
        left_by_the_dead(path, 3)
    folder, _ = make_folder(path)

    found = [folder.inherit() for _ in range(4)]

    assert [store and store.outcomes(10) for store in found] == [[outcome(1)], [outcome(2)], [outcome(3)], None]


def test_a_file_that_somebody_left_is_not_taken_for_a_new_one(path):
    left_by_the_dead(path, 1)
    folder, _ = make_folder(path)

    assert folder.new_store().path.name == "outbox-1.sqlite3"


def test_a_released_file_is_there_for_others(path):
    left_by_the_dead(path, 1)
    folder, _ = make_folder(path)
    store = folder.inherit()
    assert store is not None

    folder.release(store)

    again = folder.inherit()
    assert again is not None and again.outcomes(10) == [outcome(1)]


def test_a_damaged_file_is_put_aside_and_told_and_the_next_one_is_found(path):
    left_by_the_dead(path, 1)
    with held_by_another_process(path, 2):
        pass
    damaged = path / "outbox-0.sqlite3"
    path.joinpath("outbox-0.sqlite3-wal").unlink()
    damaged.write_bytes(b"no database")
    folder, heard = make_folder(path)

    store = folder.inherit()

    assert store is not None and store.outcomes(10) == [outcome(2)]
    aside = path / "outbox-0.sqlite3.damaged-1"
    assert aside.read_bytes() == b"no database" and not damaged.exists()
    (event,) = heard.events
    assert event.name == "outbox.set_aside"
    assert event.facts == {"file": str(damaged), "now": str(aside), "error": "file is not a database"}


def test_a_second_damaged_file_does_not_cover_the_first(path):
    folder, _ = make_folder(path)
    folder.prepare()
    for content in (b"first", b"second"):
        (path / "outbox-0.sqlite3").write_bytes(content * 100)
        assert folder.inherit() is None

    asides = [path / f"outbox-0.sqlite3.damaged-{number}" for number in (1, 2)]
    assert [aside.read_bytes() for aside in asides] == [b"first" * 100, b"second" * 100]
    assert folder.inherit() is None


def test_a_file_of_a_later_version_is_left_and_told_once(path):
    folder, heard = make_folder(path)
    store = folder.new_store()
    store.keep([outcome(1)], [])
    store._connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    folder.release(store)
    before = (path / "outbox-0.sqlite3").read_bytes()

    assert [folder.inherit(), folder.inherit()] == [None, None]

    assert [event.name for event in heard.events] == ["outbox.too_new"]
    assert f"version {VERSION + 1}" in heard.events[0].facts["error"]
    assert (path / "outbox-0.sqlite3").read_bytes() == before
    assert folder.new_store().path.name == "outbox-1.sqlite3"


def test_the_leases_of_all_files_are_known_whoever_holds_them(path):
    with held_by_another_process(path, 1):
        left_by_the_dead(path, 2, 3)
        folder, _ = make_folder(path)
        folder.new_store().keep([outcome(4)], [note(5)])

        assert folder.kept_leases() == {lease(1), lease(2), lease(3), lease(4)}


def test_the_folder_is_for_this_user_alone(path):
    folder, heard = make_folder(path)

    folder.prepare()
    folder.prepare()

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert heard.events == []


def test_a_folder_that_cannot_be_made_is_told_and_holds_up_nothing(tmp_path):
    (tmp_path / "file").touch()
    folder, heard = make_folder(tmp_path / "file" / "outbox")

    folder.prepare()

    (event,) = heard.named("outbox.unusable")
    assert event.facts["folder"] == str(tmp_path / "file" / "outbox") and "Not a directory" in event.facts["error"]
    assert (folder.inherit(), folder.kept_leases()) == (None, set())
    with pytest.raises(OSError):
        folder.new_store()


def test_processes_that_start_at_once_inherit_every_file_once(path):
    for number in range(4):
        left_by_the_dead(path, number)
    ours, theirs = multiprocessing.Pipe()

    def take_all() -> None:
        folder, _ = make_folder(path)
        while store := folder.inherit():
            theirs.send([outcome.lease for outcome in store.outcomes(10)])
            folder.discard(store)

    processes = [multiprocessing.get_context("fork").Process(target=take_all) for _ in range(3)]
    for process in processes:
        process.start()
    eventually(lambda: not any(process.is_alive() for process in processes), 30)

    found = []
    while ours.poll():
        found += ours.recv()
    assert sorted(lease.fencing_token for lease in found) == [0, 1, 2, 3]
    assert files_in(path) == []


def test_a_file_of_another_user_counts_as_held_and_is_told_of_once(path, monkeypatch):
    left_by_the_dead(path, 1)
    left_by_the_dead(path, 2)
    really_open = os.open

    def refusing(file: Path, *how: int) -> int:
        if Path(file).name == "outbox-0.lock":
            raise PermissionError(f"no right to {file}")
        return really_open(file, *how)

    monkeypatch.setattr("workers.offline.folder.os.open", refusing)
    folder, heard = make_folder(path)

    inherited = [folder.inherit() for _ in range(2)]
    fresh = folder.new_store()

    assert [store.path.name for store in inherited if store] == ["outbox-1.sqlite3"]
    assert fresh.path.name == "outbox-2.sqlite3"
    assert len(heard.named("outbox.foreign")) == 1
    assert files_in(path) == ["outbox-0.sqlite3", "outbox-1.sqlite3", "outbox-2.sqlite3"]
