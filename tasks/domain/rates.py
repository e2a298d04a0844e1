"""Rates as values and rules: how often tasks may start, decided by a bucket of tokens (the generic cell rate algorithm).

A bucket has room for `burst` tokens and gets one back every interval; a task takes one when it starts. All there is to know
of a bucket is when it is full again. Moments are whole microseconds since 1970, so that the script
`tasks/queue/lua/take_tokens.lua`, which reckons in the same way, comes to the same numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtq_site.foundation.errors import BadInput

MAX_RATE_TEXT = 16
MOST_PER_SECOND = 10_000
LARGEST_BURST = 100_000
LATENESS_US = 250_000
"""By how much a start may be late at most without its token being lost."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TEXT = re.compile(rf"([0-9]{{1,9}})/([{''.join(_SECONDS)}])")
_BURST_SECONDS = 0.1


@dataclass(frozen=True)
class Rate:
    """So many starts in a unit of time (`s`, `m`, `h` or `d`), of which `burst` may be at the same moment."""

    count: int
    unit: str
    burst: int

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.count}/{self.unit}"

    @property
    def interval_us(self) -> int:
        """After how long the bucket gets a token back."""
        return round(_SECONDS[self.unit] * 1_000_000 / self.count)

    @property
    def grace_us(self) -> int:
        """For how long a full bucket waits for a taker who is late: less than an interval, so that a burst grows no larger."""
        return min(self.interval_us - 1, LATENESS_US)


def read_rate(text: str, burst: int | None = None, field: str = "rateLimit") -> Rate:
    """The rate that a text such as "100/m" means. Raises BadInput.

    Where no burst is said it is what comes back within a tenth of a second, at least one.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise BadInput(f'{text[:60]!r} is no rate: write one such as "100/m"; s, m, h and d are units.', field=field)
    count, seconds = int(found[1]), _SECONDS[found[2]]
    if count > MOST_PER_SECOND * seconds:
        raise BadInput(f"The rate {text!r} is above {MOST_PER_SECOND:,} a second; leave it out.", field=field)
    if burst is None:
        return Rate(count, found[2], max(1, int(count * _BURST_SECONDS / seconds)))
    return Rate(count, found[2], check_burst(burst))


def check_burst(burst: int) -> int:
    """The burst, if it may be one. Raises BadInput."""
    if not 1 <= burst <= LARGEST_BURST:
        raise BadInput(f"burst must be from 1 to {LARGEST_BURST:,}, not {burst:,}.", field="burst")
    return burst


# --- the bucket ----------------------------------------------------------------------------------------------------


def take(rate: Rate, full_at_us: int, now_us: int, wanted: int) -> tuple[int, int]:
    """How many of the wanted tokens the bucket has, and when it is full again once they are taken; a negative number is
    given back. If none was taken the bucket is left as it is: the moment is only told.
    """
    full_at_us = _as_of(rate, full_at_us, now_us)
    lacking = -((now_us - full_at_us) // rate.interval_us)  # tokens not yet back, the one on its way included
    taken = min(wanted, max(0, rate.burst - lacking))
    return taken, full_at_us + taken * rate.interval_us


def token_at(rate: Rate, full_at_us: int, now_us: int, ahead: int = 0) -> int:
    """When there is a token for whoever lets so many others go ahead; `now_us` if it is there."""
    full_at_us = _as_of(rate, full_at_us, now_us)
    return max(now_us, full_at_us + (ahead + 1 - rate.burst) * rate.interval_us)


def _as_of(rate: Rate, full_at_us: int, now_us: int) -> int:
    """When the bucket is full, or was of late; emptier than empty it cannot be, though its rate was changed."""
    if full_at_us <= now_us - rate.grace_us:
        return now_us
    return min(full_at_us, now_us + rate.burst * rate.interval_us)
