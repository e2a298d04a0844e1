"""The room in which requests wait whose field has nothing to show yet: as coroutines, without a thread or a connection.

They are woken by rings of the bells, which say that something may be there, and one look at the database for all of them
says for whom. Rings may be lost: the room also looks by itself, seldom while it hears the bells and more often while not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dtq_site.api.threads import RequestThreads
from dtq_site.foundation.backoff import full_jitter, spread
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer

GATHER_SECONDS = 0.005
"""How long the room waits for further rings before it looks."""

AGAIN_SECONDS = 0.05
"""How soon it looks again for the others when it has found something for some."""

HEARING_SECONDS, DEAF_SECONDS = 5.0, 1.0
"""How long it goes without a look of its own while it hears the bells, and while it does not."""

LINGER_SECONDS = 10.0
"""How long it goes on listening when nobody waits any more."""

_LONGEST_PAUSE_SECONDS = 2.0
_FAILED_SECONDS = 1.0


class Bells(Protocol):
    """What rings when something may have come."""

    hears: bool

    async def listen(self, hear: Callable[[Any], None]) -> None:
        """Call `hear` with every ring, until it is cancelled."""


@dataclass(frozen=True)
class Wishes:
    """What an app knows of the wishes of its fields. `fulfillable` runs on a thread: the places of those to ask again."""

    concerned: Callable[[Any, Any], bool]
    """Whether a ring (the second) concerns a wish (the first)."""
    fulfillable: Callable[[Sequence[Any]], Sequence[int]]


@dataclass(eq=False)
class _Guest:
    wish: Any
    called: asyncio.Future[bool]


class WaitingRoom:
    """Room for `most` requests; of those that are called in, `turns` at a time are asked again."""

    def __init__(
        self, threads: RequestThreads, wishes: Wishes, bells: Bells, *, most: int, turns: int, observer: Observer
    ) -> None:
        self._threads, self._wishes, self._bells, self._observer = threads, wishes, bells, observer
        self._most = most
        self.turn = asyncio.Semaphore(turns)
        self._guests: dict[_Guest, None] = {}
        self._to_look_for: dict[_Guest, None] = {}
        self._rung: set[Any] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fails = False
        self._is_open = True

    def __len__(self) -> int:
        return len(self._guests)

    async def wait(self, wish: Any, seconds: float) -> bool:
        """Wait until the wish may have come true; False when the time is over, or at once if the room is full or closed."""
        if seconds <= 0 or len(self._guests) >= self._most or not self._is_open:
            return False
        guest = _Guest(wish, asyncio.get_running_loop().create_future())
        self._guests[guest] = self._to_look_for[guest] = None  # what came before the wait did not ring for it
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        try:
            async with asyncio.timeout(seconds):
                return await guest.called
        except TimeoutError:
            return False
        finally:
            self._guests.pop(guest, None)
            self._to_look_for.pop(guest, None)

    def close(self) -> None:
        """Send away who waits, and let nobody in any more."""
        self._is_open = False
        for guest in self._guests:
            if not guest.called.done():
                guest.called.set_result(False)

    @staticmethod
    async def pause(times: int, seconds: float) -> None:
        """Sleep after a call that was in vain, the `times`-th one, but no longer than `seconds`."""
        longest = min(_LONGEST_PAUSE_SECONDS, max(seconds, 0.0))
        await asyncio.sleep(full_jitter(times, base_seconds=0.02, cap_seconds=longest))

    # --- rounds ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        listening = asyncio.ensure_future(self._bells.listen(self._ring))
        left_at = elapsed_clock()
        try:
            while self._guests or elapsed_clock() - left_at < LINGER_SECONDS:
                left_at = elapsed_clock() if self._guests else left_at
                if await self._is_woken():
                    await asyncio.sleep(GATHER_SECONDS)
                else:
                    self._to_look_for.update(self._guests)
                await self._look()
        finally:
            listening.cancel()

    def _ring(self, ring: Any) -> None:
        self._rung.add(ring)
        self._wake.set()

    async def _is_woken(self) -> bool:
        """Wait for a ring or a guest; False if there was none for so long that it is time to look all the same."""
        try:
            async with asyncio.timeout(spread(HEARING_SECONDS if self._bells.hears else DEAF_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _look(self) -> None:
        rung, self._rung = self._rung, set()
        concerned = self._wishes.concerned
        for guest in self._guests if rung else ():
            if any(concerned(guest.wish, ring) for ring in rung):
                self._to_look_for[guest] = None
        guests = list(self._to_look_for)
        if not guests:
            return
        try:
            found = await self._threads.run(lambda: self._wishes.fulfillable([guest.wish for guest in guests]))
        except Exception as error:
            if not self._fails:
                self._observer.emit("waiting.failed", error=repr(error))
            self._fails = True
            await asyncio.sleep(_FAILED_SECONDS)  # and then for all of them: they are still to be looked for
            self._wake.set()
            return
        self._fails = False
        self._call([guests[place] for place in found], guests)

    def _call(self, called: Sequence[_Guest], looked_for: Sequence[_Guest]) -> None:
        for guest in looked_for:
            self._to_look_for.pop(guest, None)
        for guest in called:
            self._guests.pop(guest, None)
            if not guest.called.done():
                guest.called.set_result(True)
        if called:
            others = [guest for guest in looked_for if guest in self._guests]
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._look_again, others)

    def _look_again(self, guests: Sequence[_Guest]) -> None:
        still_here = [guest for guest in guests if guest in self._guests]
        self._to_look_for.update(dict.fromkeys(still_here))
        if still_here:
            self._wake.set()
