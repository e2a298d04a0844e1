"""Hears the messages of one group of the channel layer, and knows when it may have missed some.

The layer drops messages without a word while it has no connection. So this sends a beat to the group twice a second: one
that comes late, or not at all, says that others may be lost. (The layer pauses for a second after it has lost its
connection, even if another one is there at once; that pause is what makes the beats late.) While none comes for longer, the
connection may be one to a server that hangs, and whose place another has taken: then it is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.observer import Observer

BEAT_SECONDS = 0.5
LATE_SECONDS = 0.4
LOST_SECONDS = 1.5
DEAF_SECONDS = 5.0
_BEAT = "listener.beat"

Message = Mapping[str, Any]


class Listener:
    """Listens from `start` to `stop`, on the event loop that calls."""

    def __init__(
        self,
        group: str,
        hear: Callable[[Message], None],
        *,
        prepare: Callable[[], Awaitable[None]],
        settle_seconds: float,
        observer: Observer,
    ) -> None:
        self._group, self._hear, self._prepare, self._observer = group, hear, prepare, observer
        self._settle_seconds = settle_seconds
        self._name = uuid4().hex
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._hears = False
        self._heard_at = 0.0
        self._missed_since: float | None = None
        self._losses = 0

    def start(self) -> None:
        """Begin. Until the group is heard everything counts as missed."""
        if self._task is None:
            self._missed_since = self._heard_at = elapsed_clock()
            self._task = asyncio.ensure_future(self._listen())

    async def stop(self) -> None:
        """End; nothing is left of it in the channel layer."""
        task, self._task = self._task, None
        self._hears = False
        self._ready.clear()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def ready(self, timeout_seconds: float) -> bool:
        """Wait until every sender knows that somebody listens; False if that takes longer."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_seconds)
        except TimeoutError:
            return False
        return True

    # --- what may have been missed ---------------------------------------------------------------------------------

    def missed(self) -> Missed:
        """Since when messages may have been missed. Hand it to `caught_up` once that was made good."""
        return Missed(self._missed_since, self._losses, self._hears, elapsed_clock())

    def caught_up(self, missed: Missed) -> None:
        """What was missed until `missed` was asked for is made good."""
        if missed.since is None or missed.losses != self._losses:
            return
        self._missed_since = None if missed.hears else missed.asked_at

    def _lose(self) -> None:
        if self._hears:
            self._observer.emit("live.interrupted", seconds=round(elapsed_clock() - self._heard_at, 1))
        self._hears = False
        self._losses += 1
        if self._missed_since is None:
            self._missed_since = self._heard_at

    # --- listening -------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                await self._prepare()
                await self._listen_on(get_channel_layer())
            except Exception:  # whatever it is, the rows are looked at meanwhile
                self._lose()
            with suppress(RedisError, OSError):
                async with asyncio.timeout(LOST_SECONDS):
                    await get_channel_layer().flush()
            await asyncio.sleep(BEAT_SECONDS)

    async def _listen_on(self, layer: Any) -> None:
        await self._send_beat(layer)  # a channel that is made while Redis is away would never be forgotten
        async with asyncio.timeout(LOST_SECONDS):
            channel = await layer.new_channel()
            await layer.group_add(self._group, channel)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._receive(layer, channel))
                both.create_task(self._beat(layer))
        finally:
            with suppress(RedisError, TimeoutError):
                async with asyncio.timeout(LOST_SECONDS):
                    await layer.group_discard(self._group, channel)

    async def _receive(self, layer: Any, channel: str) -> None:
        while True:
            message = await layer.receive(channel)
            if message["type"] != _BEAT:
                self._hear(message)
            elif message["by"] == self._name:
                self._note_beat(message["sent_at"])

    def _note_beat(self, sent_at: float) -> None:
        now = elapsed_clock()
        if now - sent_at > LATE_SECONDS or sent_at - self._heard_at > 2 * BEAT_SECONDS:
            self._lose()
        self._heard_at = sent_at
        if not self._hears:
            self._hears = True
            asyncio.get_running_loop().call_later(self._settle_seconds, self._ready.set)

    async def _beat(self, layer: Any) -> None:
        begun_at = elapsed_clock()
        while True:
            try:
                await self._send_beat(layer)
            except (RedisError, TimeoutError):
                self._lose()
            silent_seconds = elapsed_clock() - max(self._heard_at, begun_at)
            if silent_seconds > LOST_SECONDS:
                self._lose()
            if silent_seconds > DEAF_SECONDS:
                raise TimeoutError("No beat has come for long")
            await asyncio.sleep(BEAT_SECONDS)

    async def _send_beat(self, layer: Any) -> None:
        async with asyncio.timeout(LOST_SECONDS):
            await layer.group_send(self._group, {"type": _BEAT, "by": self._name, "sent_at": elapsed_clock()})


class Missed:
    """A look at a listener's gap."""

    def __init__(self, since: float | None, losses: int, hears: bool, asked_at: float) -> None:
        self.since, self.losses, self.hears, self.asked_at = since, losses, hears, asked_at

    @property
    def seconds(self) -> float | None:
        """For how long messages may have been missed; None if none was."""
        return None if self.since is None else self.asked_at - self.since
