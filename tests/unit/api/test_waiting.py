"""The room in which callers wait: who is called in, and when."""

from __future__ import annotations

import asyncio

import pytest

from dtq_site.api import waiting
from dtq_site.foundation.clock import elapsed_clock
from tests.unit.api.waiting_world import World, play


def test_whoever_comes_is_looked_for_once_and_then_when_its_bell_rings():
    async def scene(world: World) -> None:
        apple = asyncio.ensure_future(world.room.wait("apple", 10))
        await world.settled()
        pear = asyncio.ensure_future(world.room.wait("pear", 10))
        await world.settled()
        world.put("pear")
        assert await pear
        world.there.clear()
        assert not apple.done()
        world.put("apple")
        assert await apple
        assert len(world.room) == 0

    assert play(scene).looks == [["apple"], ["pear"], ["pear"], ["apple"]]


def test_what_was_there_before_the_wait_ends_it():
    async def scene(world: World) -> None:
        world.there.append("apple")
        assert await world.room.wait("apple", 10)

    play(scene)


def test_as_many_are_called_as_there_are_things_the_first_ones_first():
    async def scene(world: World) -> None:
        guests = [asyncio.ensure_future(world.room.wait("apple", 10)) for _ in range(3)]
        await world.settled()
        world.put("apple", "apple")
        assert await guests[0]
        assert await guests[1]
        world.there.clear()
        await world.settled()  # whether there is still something for the third one
        assert not guests[2].done()
        world.put("apple")
        assert await guests[2]

    play(scene)


def test_a_wait_ends_with_its_time():
    async def scene(world: World) -> None:
        began_at = elapsed_clock()
        assert not await world.room.wait("apple", 0.05)
        assert elapsed_clock() - began_at < 5
        assert not await world.room.wait("apple", 0)
        assert len(world.room) == 0

    play(scene)


def test_who_finds_the_room_full_does_not_wait():
    async def scene(world: World) -> None:
        first = asyncio.ensure_future(world.room.wait("apple", 10))
        await world.settled()
        assert not await world.room.wait("apple", 10)
        world.put("apple")
        assert await first

    play(scene, most=1)


def test_a_closed_room_sends_all_away_and_lets_nobody_in():
    async def scene(world: World) -> None:
        inside = [asyncio.ensure_future(world.room.wait("apple", 10)) for _ in range(2)]
        await world.settled()
        world.room.close()
        world.there.append("apple")
        assert not any(await asyncio.gather(*inside))
        assert not await world.room.wait("apple", 10)
        assert len(world.room) == 0

    play(scene)


def test_who_leaves_is_forgotten():
    async def scene(world: World) -> None:
        gone, stays = [asyncio.ensure_future(world.room.wait("apple", 10)) for _ in range(2)]
        await world.settled()
        gone.cancel()
        await asyncio.wait([gone])
        assert len(world.room) == 1
        world.put("apple")
        assert await stays

    play(scene)


@pytest.mark.parametrize("hears", [True, False])
def test_the_room_looks_by_itself_more_often_while_it_hears_nothing(hears: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "HEARING_SECONDS", 0.4)
    monkeypatch.setattr(waiting, "DEAF_SECONDS", 0.05)

    async def scene(world: World) -> None:
        world.bells.hears = hears
        guest = asyncio.ensure_future(world.room.wait("apple", 10))
        await world.settled()
        began_at = elapsed_clock()
        world.there.append("apple")  # and nothing rings
        assert await guest
        took.append(elapsed_clock() - began_at)

    took: list[float] = []
    play(scene)
    assert took[0] >= 0.35 if hears else took[0] < 0.35


def test_a_look_that_fails_is_made_again_and_told_of_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "_FAILED_SECONDS", 0.01)

    async def scene(world: World) -> None:
        world.error = ConnectionError("away")
        guest = asyncio.ensure_future(world.room.wait("apple", 10))
        await world.settled()
        await world.settled()
        world.there.append("apple")
        world.error = None
        assert await guest

    assert [event.name for event in play(scene).recorder.events] == ["waiting.failed"]
