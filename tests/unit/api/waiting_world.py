"""What callers wait for, the room in which they wait, and bells that a test rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from dtq_site.api.threads import RequestThreads
from dtq_site.api.waiting import WaitingRoom, Wishes
from dtq_site.foundation.observer import Observer, Recorder


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
    """Play the scene in a world of its own, and return what has become of that."""
    world = World(**options)

    async def run() -> None:
        async with asyncio.timeout(20):
            await scene(world)

    asyncio.run(run())
    return world
