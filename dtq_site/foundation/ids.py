"""Time-ordered ids: UUID version 7 (RFC 9562, section 5.7, method 3 for the sub-millisecond part).

Ids made by one process never go back, so tasks of equal rank run in the order in which they were created.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from datetime import datetime

from dtq_site.foundation.clock import Clock, milliseconds


class IdMaker:
    """Makes UUIDv7 values that strictly increase within this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_tick = 0

    def new(self, count: int = 1) -> list[uuid.UUID]:
        """Return `count` new ids in increasing order, all of the present moment."""
        first = _tick(self._clock.now())
        with self._lock:
            first = max(first, self._last_tick + 1)
            self._last_tick = first + count - 1
        return [_uuid7(first + offset, secrets.randbits(62)) for offset in range(count)]


def _tick(moment: datetime) -> int:
    """The moment in units of 1/4096 millisecond."""
    return milliseconds(moment) * 4096 + (moment.microsecond % 1000) * 4096 // 1000


def _uuid7(tick: int, random_62: int) -> uuid.UUID:
    return uuid.UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random_62)


def lowest_at(milliseconds: int) -> uuid.UUID:
    """The lowest id of a moment, in milliseconds since 1970: ids of later moments are above it, those of earlier ones below."""
    return _uuid7(min(max(milliseconds, 0), 2**48 - 1) << 12, 0)


def parse_uuid(text: object) -> uuid.UUID | None:
    """The UUID that `text` spells, or None if it spells none."""
    try:
        return text if isinstance(text, uuid.UUID) else uuid.UUID(str(text))
    except ValueError:
        return None
