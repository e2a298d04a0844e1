"""Messages on their way to one client: as many as it reads, and of what it has not read yet only the newest. Pure.

A server may buffer what it sends without end, so the pace is the client's own word: when half of the window has been sent
it is pinged, and what lies before its pong it has read. Beyond the window messages wait here, where newer ones of the
same subject take the place of older ones. How many messages may wait is each socket's own limit; their bytes, and those of a
message larger than the window that is on its way, are counted for all sockets of an account together.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import count


class Overflow(Exception):
    """More waits than the client is allowed to be behind."""


@dataclass
class Backlog:
    """How many bytes wait for the clients of one account, for how many of its sockets, and how many may.

    When that is too much, a socket that has no more than its share may still add to it: the others are to blame. One message
    alone may be larger.
    """

    limit: int
    size: int = 0
    sockets: int = 0

    def refuses(self, growth: int, own: int) -> bool:
        """Whether a socket for which `own` bytes wait may not have so many more."""
        share = self.limit // (self.sockets + (not own))
        return bool(self.size) and self.size + growth > self.limit and own + growth > share

    def change(self, before: int, after: int) -> None:
        """So many bytes wait for one of the sockets now."""
        self.size += after - before
        self.sockets += bool(after) - bool(before)


class Outbox:
    """The line of one socket's messages."""

    def __init__(self, *, max_messages: int, window_bytes: int, backlog: Backlog) -> None:
        self._max_messages = max_messages
        self._window = window_bytes
        self._backlog = backlog
        self._counted = 0
        self._waiting: dict[tuple[Hashable, Hashable], str] = {}
        self._waiting_size = 0
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
        growth = len(text) - len(self._waiting.get(key, ""))
        if growth > 0 and self._backlog.refuses(growth, self._counted):
            raise Overflow
        if not self._waiting:
            self.stalled_since = now
        self._waiting[key] = text
        self._waiting_size += growth
        self._count()

    def drop(self, owner: Hashable) -> None:
        """Forget what waits of this owner."""
        self._waiting = {key: text for key, text in self._waiting.items() if key[0] != owner}
        self._waiting_size = sum(map(len, self._waiting.values()))
        if not self._waiting:
            self.stalled_since = None
        self._count()

    def take(self, now: float) -> str | None:
        """The next message to send; None if there is none or the client has too much to read already."""
        if not self._waiting or self._unread >= self._window:
            return None
        text = self._waiting.pop(next(iter(self._waiting)))
        self._waiting_size -= len(text)
        self._unread += len(text)
        self.stalled_since = now if self._waiting else None
        self._count()
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
        self._count()

    def clear(self) -> None:
        """Forget all, as when the client has gone."""
        self._waiting, self._waiting_size, self._unread = {}, 0, 0
        self._before_ping = self.stalled_since = None
        self._count()

    def join(self, backlog: Backlog) -> None:
        """Be counted there from now on."""
        self._backlog.change(self._counted, 0)
        self._backlog, self._counted = backlog, 0
        self._count()

    def _count(self) -> None:
        counted = self._waiting_size + max(0, self._unread - self._window)
        self._backlog.change(self._counted, counted)
        self._counted = counted
