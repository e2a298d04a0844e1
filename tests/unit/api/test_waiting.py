"""Fields that wait: who is called in, when, and that the rest of the operation is not run again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import graphene
import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from dtq_site.api import waiting
from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.api.threads import RequestThreads
from dtq_site.api.view import graphql_view
from dtq_site.api.waiting import WaitingRoom, Wishes
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer, Recorder
from tests.unit.api.small_schema import CONTEXT, UNLIMITED


class Bells:
    """Bells that a test rings."""

    def __init__(self) -> None:
        self.hears = True
        self.ring: Callable[[str], None] | None = None

    async def listen(self, hear: Callable[[Any], None]) -> None:
        self.ring = hear
        await asyncio.Event().wait()


class World:
    """What is there, by name, and who has looked for what; a room for those who wish for it."""

    def __init__(self, most: int = 100) -> None:
        self.there: list[str] = []
        self.looks: list[list[str]] = []
        self.error: Exception | None = None
        self.refusal: Exception | None = None
        self.refuses_when_found: Exception | None = None
        self.bells, self.recorder = Bells(), Recorder()
        self.threads = RequestThreads(1)
        self.room = WaitingRoom(
            self.threads,
            Wishes(lambda wish, ring: wish == ring, self._fulfillable),
            self.bells,
            most=most,
            turns=1,
            observer=Observer(self.recorder),
        )

    def _fulfillable(self, wishes: Sequence[str]) -> list[int]:
        self.looks.append(list(wishes))
        if self.error:
            raise self.error
        left, places = list(self.there), []
        for place, wish in enumerate(wishes):
            if wish in left:
                left.remove(wish)
                places.append(place)
        if places:
            self.refusal = self.refuses_when_found
        return places

    async def settled(self) -> None:
        """Until those who have come were looked for."""
        looks = len(self.looks)
        while len(self.looks) == looks:
            await asyncio.sleep(0.001)

    def put(self, *names: str) -> None:
        self.there += names
        for name in names:
            assert self.bells.ring is not None
            self.bells.ring(name)


def play(scene: Callable[[World], Coroutine[Any, Any, None]], **options: int) -> World:
    world = World(**options)

    async def run() -> None:
        async with asyncio.timeout(20):
            await scene(world)

    asyncio.run(run())
    return world


# --- the room ------------------------------------------------------------------------------------------------------


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


# --- the operation -------------------------------------------------------------------------------------------------


def endpoint(world: World) -> tuple[Callable[[str], Coroutine[Any, Any, HttpResponse]], list[str]]:
    """A view with a field that takes an apple or waits for one, and what was resolved."""
    resolved: list[str] = []

    class Mutation(graphene.ObjectType):
        """A change, and a wait."""

        note = graphene.Int()
        take = graphene.List(graphene.String, seconds=graphene.Float())

        @staticmethod
        def resolve_note(root: None, info: Any) -> int:
            """Counts."""
            resolved.append("note")
            return len(resolved)

        @staticmethod
        def resolve_take(root: None, info: Any, seconds: float) -> list[str]:
            """What is there."""
            resolved.append("take")
            if not world.there:
                info.context.postpone(info, "apple", seconds)
                return []
            return [world.there.pop()]

    class Query(graphene.ObjectType):
        """Nothing."""

        nothing = graphene.Int()

    schema = graphene.Schema(query=Query, mutation=Mutation).graphql_schema
    faults = Faults(Observer(world.recorder), lambda: "1")
    engine = Engine(schema, ApiOptions(), ErrorReporter(faults), UNLIMITED)

    def context_of(_request: Any) -> Any:
        if world.refusal:
            raise world.refusal
        return replace(CONTEXT, postponed=[])

    view = graphql_view(
        engine,
        world.threads,
        context_of=context_of,
        page=lambda _request: HttpResponse(),
        options=ApiOptions(),
        room=world.room,
    )

    def send(query: str) -> Coroutine[Any, Any, HttpResponse]:
        body = json.dumps({"query": query})
        return view(AsyncRequestFactory().post("/graphql", body, content_type="application/json"))

    return send, resolved


def test_the_field_alone_is_asked_again_and_the_others_keep_what_they_have_shown():
    async def scene(world: World) -> None:
        send, resolved = endpoint(world)
        asked = asyncio.ensure_future(
            send("mutation { before: note ...F after: note } fragment F on Mutation { got: take(seconds: 10) }")
        )
        await world.settled()
        world.put("apple")

        response = await asked

        assert list(json.loads(response.content)["data"].items()) == [("before", 1), ("got", ["apple"]), ("after", 3)]
        assert resolved == ["note", "take", "note", "take"]

    play(scene)


def test_when_the_time_is_over_the_answer_is_what_it_was():
    async def scene(world: World) -> None:
        send, resolved = endpoint(world)

        response = await send("mutation { take(seconds: 0.05) note }")

        assert json.loads(response.content) == {"data": {"take": [], "note": 2}}
        assert resolved == ["take", "note"]

    play(scene)


def test_who_is_called_in_vain_waits_on():
    async def scene(world: World) -> None:
        send, resolved = endpoint(world)
        asked = asyncio.ensure_future(send("mutation { take(seconds: 10) }"))
        await world.settled()
        await world.room.turn.acquire()
        world.put("apple")
        await world.settled()
        world.there.clear()  # somebody else was faster
        world.room.turn.release()
        await world.settled()
        world.put("apple")

        assert json.loads((await asked).content) == {"data": {"take": ["apple"]}}
        assert resolved == ["take"] * 3

    play(scene)


def test_the_caller_is_identified_again_before_anything_is_shown():
    async def scene(world: World) -> None:
        send, resolved = endpoint(world)
        asked = asyncio.ensure_future(send("mutation { take(seconds: 10) }"))
        await world.settled()
        world.refuses_when_found = Unauthenticated("The session has ended.")
        world.put("apple")

        answer = json.loads((await asked).content)

        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert (resolved, world.there) == (["take"], ["apple"])

    play(scene)
