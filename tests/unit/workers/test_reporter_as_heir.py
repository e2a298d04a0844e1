"""What dead processes left is delivered by the reporter of another one, whatever befalls that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.unit.workers.making import MEGABYTE, files_in, in_a_process_that_is_killed, make_folder, note, outcome
from tests.unit.workers.reporter_world import World
from workers.offline.store import Store
from workers.runtime import inheritance as inheritances
from workers.transports.base import Note, Unreachable


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "outbox")


def left_by_the_dead(path: Path, numbers: Sequence[int], notes: Sequence[Note] = ()) -> None:
    in_a_process_that_is_killed(lambda: make_folder(path)[0].new_store().keep([outcome(n) for n in numbers], notes))


def test_what_the_dead_left_is_delivered_lines_first_batch_by_batch_and_its_files_go(world, monkeypatch):
    monkeypatch.setattr(inheritances, "BATCH", 2)
    left_by_the_dead(world.path, [1, 2, 3], [note(1), note(1, 2), note(3)])
    left_by_the_dead(world.path, [4])
    world.reporter.outcome(outcome(5))

    while world.reporter.run_once() == 0:
        continue

    assert world.transport.told == [
        ("report", [outcome(5)]),
        ("record", [note(1), note(1, 2)], {}),
        ("record", [note(3)], {}),
        ("report", [outcome(1), outcome(2)]),
        ("report", [outcome(3)]),
        ("report", [outcome(4)]),
    ]
    assert files_in(world.path) == []


def test_an_inheritance_survives_the_server_s_absence(world):
    left_by_the_dead(world.path, [1, 2])
    world.transport.trouble = Unreachable("away")

    world.reporter.run_once()
    assert world.on_disk() == [1, 2]

    world.come_back()
    world.reporter.run_once()
    assert world.transport.reported == [1, 2]


def test_one_that_dies_too_leaves_the_rest_of_its_inheritance(world, monkeypatch):
    monkeypatch.setattr(inheritances, "BATCH", 1)
    left_by_the_dead(world.path, [1, 2, 3])

    in_a_process_that_is_killed(World(world.path).reporter.run_once)

    while world.reporter.run_once() == 0:
        continue
    assert world.transport.reported == [2, 3]


def test_an_inheritance_that_turns_out_to_be_damaged_holds_up_nothing(world):
    left_by_the_dead(world.path, [1])
    store = Store(world.path / "outbox-0.sqlite3", MEGABYTE)
    store._connection.execute("UPDATE outcome SET kind = 'NEITHER'")
    store.close()
    left_by_the_dead(world.path, [2])
    world.reporter.outcome(outcome(3))

    while world.reporter.run_once() == 0:
        continue

    assert world.transport.reported == [3, 2]
    assert (world.path / "outbox-0.sqlite3.damaged-1").exists()
    assert [event.name for event in world.of_folder.events] == ["outbox.set_aside"]


def test_what_others_leave_later_is_found_without_a_restart(world, monkeypatch):
    monkeypatch.setattr(inheritances, "LOOK_SECONDS", 0.05)
    world.reporter.start()
    left_by_the_dead(world.path, [1])

    eventually(lambda: world.transport.reported == [1])

    world.reporter.stop()
    assert world.reporter.join(5)
