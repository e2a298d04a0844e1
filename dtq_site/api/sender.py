"""What carries the messages of one socket from its outbox to the client, as soon as the client may have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from dtq_site.api.outbox import Outbox
from dtq_site.api.protocol import PING
from dtq_site.foundation.clock import elapsed_clock


class Sender:
    """Sends by `send_text` what is posted; `run` is the loop that does so."""

    def __init__(self, outbox: Outbox, send_text: Callable[[str], Awaitable[None]]) -> None:
        self._outbox, self._send_text = outbox, send_text
        self._stirred = asyncio.Event()

    def post(self, owner: Hashable, text: str, *, subject: Hashable = None) -> None:
        """Have `text` sent; see `Outbox.put`. Raises Overflow."""
        self._outbox.put(owner, text, elapsed_clock(), subject=subject)
        self._stirred.set()

    def pong(self) -> None:
        """The client has read what was sent before the ping."""
        self._outbox.pong()
        self._stirred.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while (text := self._outbox.take(elapsed_clock())) is not None:
                await self._send_text(text)
                if self._outbox.wants_ping():
                    await self._send_text(PING)
