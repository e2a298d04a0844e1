"""Time comes in from here and from nowhere else.

Rows, ids and ranks bear the database's time (`DatabaseClock`), because hosts disagree about theirs. Lengths of time are
measured on clocks of this machine: `elapsed_clock` for what may stand still while the machine sleeps, `boot_clock` for
what may not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol

elapsed_clock: Callable[[], float] = time.monotonic


def boot_clock() -> float:
    """Seconds since boot, the time asleep included where the system tells it (Linux)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@cache
def boot_id() -> str:
    """What names the time since this host was started (Linux), else nothing: beyond it no reading of a clock can be trusted.

    The clocks that count from the start begin anew, and where no battery drives it the wall clock may have gone back.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def host_now() -> datetime:
    """This host's wall clock, aware, in UTC: for log lines and for bridging while no database answers; never for rows."""
    return datetime.now(UTC)


class Clock(Protocol):
    """Anything that tells the present moment."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


SLOW_SECONDS = 0.5
"""An answer that takes longer tells too little of what time it is."""


class DatabaseClock:
    """The database's UTC, sampled now and then and advanced by the local boot clock.

    A sample is taken to belong to the moment its answer arrived, so the clock is late by up to one round trip and never
    early. Every guard in the lifecycle errs to the safe side with a late clock. A lease that is granted by one is shorter than
    its holder thinks, though; so an answer that took long counts only if it contradicts what is known.
    """

    def __init__(
        self,
        sample: Callable[[], datetime],
        *,
        resample_seconds: float = 10.0,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self._sample = sample
        self._resample_seconds = resample_seconds
        self._boot = boot
        self._lock = threading.Lock()
        self._base: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The present moment by the database's clock, aware, in UTC.

        Raises whatever `sample` raises if there is no earlier sample to go on with.
        """
        base = self._base
        if base is None or self._boot() - base[1] > self._resample_seconds:
            base = self._resampled(base)
        moment, taken_at = base
        return moment + timedelta(seconds=self._boot() - taken_at)

    def _resampled(self, base: tuple[datetime, float] | None) -> tuple[datetime, float]:
        if not self._lock.acquire(blocking=base is None):
            assert base is not None
            return base  # another thread is asking; the old sample is still good
        try:
            self._base = self._asked(base)
        except Exception:
            if base is None:
                raise
            # The database is away: go on with what we know, and do not ask again at every call.
            self._base = (base[0] + timedelta(seconds=self._boot() - base[1]), self._boot())
        finally:
            self._lock.release()
        assert self._base is not None
        return self._base

    def _asked(self, known: tuple[datetime, float] | None) -> tuple[datetime, float]:
        """A new sample. One that was slow gives way to what is known; where nothing is, it is taken once more."""
        asked_at = self._boot()
        moment = self._sample()
        arrived_at = self._boot()
        if arrived_at - asked_at <= SLOW_SECONDS:
            return moment, arrived_at
        if known is None:
            return self._asked((moment, arrived_at))
        expected = known[0] + timedelta(seconds=arrived_at - known[1])
        agrees = moment <= expected <= moment + timedelta(seconds=arrived_at - asked_at)
        return (expected if agrees else moment, arrived_at)


class LeaseTimer:
    """Tells whether a lease can still be trusted by the one that holds it.

    Counts from the moment the request was *sent*, on whichever of three clocks ran farthest: the monotonic one stands
    still while a laptop sleeps, and the wall clock may be set back.
    """

    def __init__(self, margin_seconds: float = 1.0) -> None:
        self._margin = margin_seconds

    @staticmethod
    def sent_at() -> tuple[float, float, float]:
        """Readings of the three clocks; take them before the request leaves."""
        return (time.monotonic(), boot_clock(), time.time())

    def remaining_seconds(self, sent: tuple[float, float, float], lease_seconds: float) -> float:
        """Seconds for which a lease of `lease_seconds`, asked for at `sent`, can still be trusted; negative once it cannot."""
        ran = max(now - then for now, then in zip(self.sent_at(), sent, strict=True))
        return lease_seconds - self._margin - ran


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware moment, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(value: int) -> datetime:
    """The aware UTC moment of `value` milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
