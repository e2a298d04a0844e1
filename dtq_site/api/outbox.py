"""Messages on their way to one client: as many as it reads, and of what it has not read yet only the newest. Pure.

A server may buffer what it sends without end, so the pace is the client's own word: when half of the window has been sent
it is pinged, and what lies before its pong it has read. Beyond the window messages wait here, where newer ones of the
same subject take the place of older ones.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count


class Overflow(Exception):
    """More messages wait than the client is allowed to be behind."""


class Outbox:
    """The line of one socket's messages."""

    def __init__(self, *, max_messages: int, window_bytes: int) -> None:
        self._max_messages = max_messages
        self._window = window_bytes
        self._waiting: dict[tuple[Hashable, Hashable], str] = {}
        self._numbers = count()
        self._unread = 0
        self._before_ping: int | None = None
        self.stalled_since: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, owner: Hashable, text: str, now: float, *, subject: Hashable = None) -> None:
        """Have `text` sent; it replaces one of the same owner and subject that still waits. Raises Overflow."""
        key = (owner, next(self._numbers) if subject is None else (subject,))
        if key not in self._waiting and len(self._waiting) >= self._max_messages:
            raise Overflow
        if not self._waiting:
            self.stalled_since = now
        self._waiting[key] = text

    def drop(self, owner: Hashable) -> None:
        """Forget what waits of this owner."""
        self._waiting = {key: text for key, text in self._waiting.items() if key[0] != owner}
        if not self._waiting:
            self.stalled_since = None

    def take(self, now: float) -> str | None:
        """The next message to send; None if there is none or the client has too much to read already."""
        if not self._waiting or self._unread >= self._window:
            return None
        text = self._waiting.pop(next(iter(self._waiting)))
        self._unread += len(text)
        self.stalled_since = now if self._waiting else None
        return text

    def wants_ping(self) -> bool:
        """Whether to ping the client now; says so once for each pong."""
        if self._before_ping is not None or self._unread < self._window // 2:
            return False
        self._before_ping = self._unread
        return True

    def pong(self) -> None:
        """The client has read what was sent before the ping."""
        self._unread -= self._before_ping or 0
        self._before_ping = None
