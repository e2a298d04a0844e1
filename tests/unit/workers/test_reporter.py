"""What attempts produced reaches the server in order and once, and the disk where the server cannot be reached."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import OutcomeVerdict
from tests.support.waiting import eventually
from tests.unit.workers.making import files_in, lease, make_folder, note, outcome
from tests.unit.workers.reporter_world import ScriptedTransport, World
from workers.offline.journal import Journal
from workers.runtime import reporter as reporters
from workers.runtime.reporter import Reporter
from workers.transports.base import Unreachable


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "outbox")


def test_lines_leave_before_the_outcome_of_their_attempt_and_all_in_order(world, monkeypatch):
    monkeypatch.setattr(reporters, "BATCH", 2)
    world.hold(1, 2, 3)
    for number in (1, 2, 3):
        world.reporter.note(note(number))
        world.reporter.outcome(outcome(number))
    world.reporter.progress(lease(4), 10)
    world.reporter.progress(lease(4), 20)

    assert world.reporter.run_once() == 0
    assert world.reporter.run_once() > 1

    assert world.transport.told == [
        ("record", [note(1), note(2)], {lease(4): 20}),
        ("report", [outcome(1), outcome(2)]),
        ("record", [note(3)], {}),
        ("report", [outcome(3)]),
    ]
    assert world.reporter.idle
    assert world.held.room == 50
    assert not world.path.exists()
    settled = [(event.facts["name"], event.facts["verdict"]) for event in world.heard.named("task.settled")]
    assert settled == [("job", "ACCEPTED")] * 3


def test_with_a_journal_everything_is_on_disk_before_it_is_sent(world):
    journal = Journal(Observer(world.heard), make_folder(world.path)[0])
    folder, _ = make_folder(world.path)
    on_disk_then: list[tuple[list[int], dict[Lease, int]]] = []

    class Looking(ScriptedTransport):
        def tell(self, *told: Any) -> dict[Lease, OutcomeVerdict]:
            on_disk_then.append((world.on_disk(), world.progress_on_disk()))
            return super().tell(*told)

    reporter = Reporter(Observer(world.heard), Looking(), world.held, folder, journal, lambda rows: None)
    world.hold(1, 2)
    for number in (1, 2):
        reporter.outcome(outcome(number))
    reporter.progress(lease(3), 40)

    reporter.run_once()

    assert on_disk_then == [([1, 2], {lease(3): 40})]
    assert reporter.idle and world.on_disk() == []
    assert reporter.leave() and files_in(world.path) == []


def test_what_was_not_started_is_released_and_what_was_cancelled_meanwhile_forfeited(world):
    tasks = [LeasedTask(lease(n), "job", {}, 1, 60.0, 15.0, False, UUID(int=9)) for n in (1, 2)]
    unstarted, cancelled = world.held.add(tasks, LeaseTimer.sent_at())
    cancelled.start()

    world.reporter.give_up(unstarted)
    world.reporter.stopped(cancelled)
    assert not world.reporter.idle
    world.reporter.run_once()

    assert world.transport.told == [("release", [lease(1)]), ("forfeit", [lease(2)])]
    assert world.reporter.idle
    assert world.held.room == 50


def test_an_outcome_whose_lines_are_more_than_a_batch_waits_for_the_last_of_them(world, monkeypatch):
    monkeypatch.setattr(reporters, "BATCH", 2)
    world.reporter.outcome(outcome(1))
    for sequence in (1, 2, 3):
        world.reporter.note(note(2, sequence))
    world.reporter.outcome(outcome(2))

    world.reporter.run_once()
    assert world.transport.told[1:] == [("report", [outcome(1)])]

    world.reporter.run_once()
    assert world.transport.told[2:] == [("record", [note(2, 3)], {}), ("report", [outcome(2)])]


def test_what_cannot_be_delivered_is_on_disk_before_the_next_try_and_leaves_in_order_later(world):
    world.hold(1, 2, 3)
    world.transport.trouble = Unreachable("away")
    world.reporter.note(note(1))
    world.reporter.outcome(outcome(1))

    world.reporter.run_once()
    assert world.on_disk() == [1]
    world.reporter._try_at = float("inf")
    asked = world.transport.asked
    world.reporter.outcome(outcome(2))
    world.reporter.run_once()
    assert world.on_disk() == [1, 2]
    assert world.transport.asked == asked
    assert world.held.room == 47

    world.come_back()
    world.reporter.outcome(outcome(3))
    world.reporter.run_once()

    assert world.transport.told == [("record", [note(1)], {}), ("report", [outcome(1), outcome(2), outcome(3)])]
    assert files_in(world.path) == []
    assert world.reporter.idle and world.held.room == 50


def test_a_defect_loses_nothing_either(world):
    world.transport.trouble = ValueError("a defect")
    world.reporter.outcome(outcome(1))

    with pytest.raises(ValueError, match="a defect"):
        world.reporter.run_once()
    assert world.on_disk() == [1]

    world.come_back()
    world.reporter.run_once()
    assert world.transport.reported == [1]
    assert files_in(world.path) == []


def test_what_waits_for_a_delivery_that_does_not_end_is_put_on_disk_from_outside(world, monkeypatch):
    world.transport.gate.clear()
    world.reporter.outcome(outcome(1))
    world.reporter.start()
    eventually(lambda: world.transport.asked == 1)
    world.reporter.outcome(outcome(2))

    world.reporter.keep_if_slow()
    assert not world.path.exists()
    monkeypatch.setattr(reporters, "PATIENCE_SECONDS", 0.0)
    world.reporter.keep_if_slow()

    assert world.on_disk() == [1, 2]
    world.transport.gate.set()
    eventually(lambda: world.reporter.idle)
    world.reporter.stop()
    assert world.reporter.join(5)
    assert world.transport.reported == [1, 2]
    assert files_in(world.path) == []


def test_outcomes_leave_at_once_after_a_pause_and_gather_close_upon_a_delivery(world, monkeypatch):
    monkeypatch.setattr(reporters, "GATHER_SECONDS", 0.5)
    world.reporter.start()
    handed_over_at = time.monotonic()
    world.reporter.outcome(outcome(0))
    eventually(lambda: world.transport.reported == [0])
    assert time.monotonic() - handed_over_at < 0.4

    for number in range(1, 50):
        world.reporter.outcome(outcome(number))
    eventually(lambda: world.reporter.idle)

    assert time.monotonic() - handed_over_at > 0.5
    assert world.transport.told[1:] == [("report", [outcome(number) for number in range(1, 50)])]
    world.reporter.stop()
    assert world.reporter.join(5)


def test_a_full_batch_does_not_wait_for_more(world, monkeypatch):
    monkeypatch.setattr(reporters, "GATHER_SECONDS", 60.0)
    monkeypatch.setattr(reporters, "BATCH", 3)
    for number in range(6):
        world.reporter.outcome(outcome(number))

    world.reporter.run_once()
    world.reporter.run_once()

    assert world.transport.reported == [0, 1, 2, 3, 4, 5]


def test_gathering_ends_when_the_worker_does(world, monkeypatch):
    monkeypatch.setattr(reporters, "GATHER_SECONDS", 60.0)
    world.reporter.start()
    world.reporter.outcome(outcome(0))
    eventually(lambda: world.transport.reported == [0])
    world.reporter.outcome(outcome(1))
    eventually(lambda: not world.reporter._wake.is_set())  # the next round has begun

    world.reporter.stop()

    assert world.reporter.join(5)
    assert world.transport.reported == [0, 1]


def test_a_worker_leaves_on_disk_what_it_could_not_deliver_and_says_so(world):
    world.transport.trouble = Unreachable("away")
    world.reporter.note(note(1))
    world.reporter.outcome(outcome(1))

    assert world.reporter.leave()

    assert world.on_disk() == [1]
    (event,) = world.heard.named("outbox.left")
    assert event.facts == {"outcomes": 1, "log_lines": 1, "on_disk": True}


def test_a_worker_that_delivered_all_leaves_nothing_and_says_nothing(world):
    world.reporter.outcome(outcome(1))
    world.reporter.run_once()

    assert world.reporter.leave()

    assert not world.path.exists()
    assert world.heard.named("outbox.left") == []


def test_a_worker_that_cannot_leave_it_on_disk_says_so(world):
    world.path.touch()
    world.reporter.outcome(outcome(1))

    assert not world.reporter.leave()

    (event,) = world.heard.named("outbox.left")
    assert event.facts == {"outcomes": 1, "log_lines": 0, "on_disk": False}
    assert [event.name for event in world.heard.events] == ["outbox.unusable", "outbox.left"]


def test_many_threads_hand_over_and_every_outcome_is_told_once(world):
    def hand_over(first: int) -> None:
        for number in range(first, first + 500):
            world.reporter.note(note(number))
            world.reporter.outcome(outcome(number))

    threads = [threading.Thread(target=hand_over, args=(first,)) for first in range(0, 4000, 500)]
    world.reporter.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: world.reporter.idle)
    world.reporter.stop()
    assert world.reporter.join(5)

    assert sorted(world.transport.reported) == list(range(4000))
    said, ended = set(), set()
    for call in world.transport.told:
        if call[0] == "record":
            said |= {each.lease for each in call[1]}
        else:
            ended |= {each.lease for each in call[1]}
            assert ended <= said
