"""What a worker does between two tasks."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from dtq_site.foundation.clock import LeaseTimer
from dtq_site.foundation.observer import Observer
from tests.unit.workers.making import lease
from tests.unit.workers.remote_world import World, won
from workers.runtime.attempt import HeldAttempts
from workers.runtime.claim_loop import REPORTS_SECONDS, ClaimLoop
from workers.runtime.held_table import HeldTable, State
from workers.runtime.look_ahead import RunTimes


def loop_of(world: World, held: HeldAttempts) -> ClaimLoop:
    """A claim loop for one slot, beside an executor and a reporter that do nothing."""
    executor = SimpleNamespace(run_times=RunTimes(), low_water=0, start=lambda attempts: None)
    reporter = SimpleNamespace(caught_up=True)
    return ClaimLoop(Observer(), world.transport, held, executor, reporter, slots=1, lease=timedelta(minutes=1))


def test_what_the_keeper_has_given_back_no_heir_finds_on_this_disk(world: World):
    world.client.answers["claim_tasks"] = won(1, 2)
    held = HeldAttempts(HeldTable(10))
    first, _ = held.add(world.claim(), LeaseTimer.sent_at())
    loop = loop_of(world, held)
    held.table.state[first.row] = State.RETURNED

    loop.run_once()

    assert world.on_disk() == [2]
    assert set(world.journal._held) == {lease(2)}
    assert held.table.count(State.RETURNED) == 0


def test_once_reports_have_made_room_it_goes_on_soon(world: World):
    world.client.answers["claim_tasks"] = won(1, 2)
    held = HeldAttempts(HeldTable(2))
    for attempt in held.add(world.claim(), LeaseTimer.sent_at()):
        held.finish(attempt)  # nobody will wake the loop: no handler runs
    loop = loop_of(world, held)

    assert loop.run_once() == REPORTS_SECONDS

    held.remove(lease(1))
    world.client.answers["claim_tasks"] = won(3)
    assert loop.run_once() == 0
