"""Hears the rings that are published on a channel of Redis, by one connection for the whole process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dtq_site.foundation.backoff import full_jitter
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.redis_clients import async_redis_client

ANSWER_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 2.0


class RedisBells:
    """Bells of one channel; `read` makes a ring of each message. Redis may be away: `hears` says whether it is there."""

    def __init__(
        self,
        url: str,
        channel: str,
        read: Callable[[str], Any],
        *,
        prepare: Callable[[], Awaitable[None]],
        observer: Observer,
    ) -> None:
        self._url, self._channel, self._read = url, channel, read
        self._prepare, self._observer = prepare, observer
        self.hears = False

    async def listen(self, hear: Callable[[Any], None]) -> None:
        """Call `hear` with every ring, until it is cancelled. Never raises."""
        failures = 0
        while True:
            try:
                await self._prepare()
                await self._listen(hear)
            except Exception as error:  # whatever it is, whoever waits looks meanwhile
                failures = 1 if self.hears else failures + 1
                if failures == 1:
                    self._observer.emit("bells.unheard", error=repr(error))
            finally:
                self.hears = False
            await asyncio.sleep(full_jitter(failures, base_seconds=0.1, cap_seconds=_LONGEST_PAUSE_SECONDS))

    async def _listen(self, hear: Callable[[Any], None]) -> None:
        client = async_redis_client(self._url, timeout_seconds=ANSWER_SECONDS)
        async with client, client.pubsub() as subscriber:
            await subscriber.subscribe(self._channel)
            asked = False
            while True:
                message = await subscriber.get_message(timeout=ANSWER_SECONDS)
                if message is None:
                    if asked:
                        raise TimeoutError("Redis does not answer")
                    await subscriber.ping()
                elif message["type"] == "message":
                    hear(self._read(message["data"]))
                else:
                    self.hears = True
                asked = message is None
