"""Fields that wait: the rest of the operation is not run again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import graphene
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.options import ApiOptions
from dtq_site.api.view import graphql_view
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.foundation.faults import Faults
from dtq_site.foundation.observer import Observer
from tests.unit.api.small_schema import CONTEXT, UNLIMITED
from tests.unit.api.waiting_world import World, play


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
