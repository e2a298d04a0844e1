"""The tokens of rates, for the whole installation: in Redis, or in rows of the database while Redis is away.

Each side knows nothing of what the other has given out. So whenever one takes the other's place, or Redis has lost its data,
a bucket may be full again: a burst gets through that should not have. And each process judges by itself whether Redis is
away: while some are cut off from it and others are not, both sides give tokens out, up to twice the rate in all.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from redis import Redis

from dtq_site.foundation.lua import load_script
from dtq_site.foundation.redis_clients import Breaker, redis_client
from tasks import limit_line
from tasks.domain import rates
from tasks.domain.limits import Limit
from tasks.domain.rates import Rate
from tasks.queue import keys
from tasks.queue.dispatch import redis_index
from tasks.queue.shards import PROMPT_TIMEOUT_SECONDS

_take_tokens = load_script(Path(__file__).parent / "queue" / "lua" / "take_tokens.lua")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Wanted = Mapping[Limit, tuple[Rate, int]]


@dataclass(frozen=True)
class Bucket:
    """What a bucket has given, and when it is full, in microseconds from now."""

    taken: int
    full_in_us: int


class Tokens:
    """Takes tokens and gives them back. Redis being away never fails its caller."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._breaker = Breaker(longest_seconds=2.0)

    def take(self, wanted: Wanted, now: datetime, *, now_us: int = 0) -> dict[Limit, Bucket]:
        """Take as many of the wanted tokens as there are; of a negative number, give so many back.

        To be called in a transaction, which keeps the rows locked if it takes from them. `now_us` stands in for Redis's own
        time in tests.
        """
        found = self._ask(wanted, now_us)
        return _take_from_rows(wanted, now) if found is None else found

    def look(self, limits: Mapping[Limit, Rate], now: datetime) -> dict[Limit, Bucket]:
        """How the buckets stand; nothing is taken and nothing locked."""
        found = self._ask({limit: (rate, 0) for limit, rate in limits.items()}, 0)
        if found is not None:
            return found
        now_us, moments = microseconds(now), limit_line.full_at(limits.keys())
        return {limit: Bucket(0, moment - now_us) for limit, moment in moments.items()}

    def _ask(self, wanted: Wanted, now_us: int) -> dict[Limit, Bucket] | None:
        if not wanted:
            return {}
        asked = [
            (str(limit), rate.interval_us, rate.burst, rate.grace_us, count) for limit, (rate, count) in wanted.items()
        ]
        answer = self._breaker.call(
            lambda: _take_tokens(self._client, keys={}, prefix=keys.BUCKETS, wants=asked, now_us=now_us), None
        )
        if answer is None:
            return None
        return {
            limit: Bucket(taken, full_in_us)
            for limit, taken, full_in_us in zip(wanted, answer[::2], answer[1::2], strict=True)
        }


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def _take_from_rows(wanted: Wanted, now: datetime) -> dict[Limit, Bucket]:
    now_us, found, moments = microseconds(now), {}, {}
    for limit, row in limit_line.opened(wanted.keys(), now).items():
        rate, count = wanted[limit]
        taken, moment = rates.take(rate, row.full_at_us, now_us, count)
        found[limit] = Bucket(taken, moment - now_us)
        if taken:
            moments[limit] = moment
    limit_line.set_full_at(moments)
    return found


@functools.cache
def tokens() -> Tokens:
    """This process's way to the tokens, made when first needed."""
    redis_index()  # it starts the embedded Redis, where that is configured
    return Tokens(redis_client(settings.REDIS_URL, timeout_seconds=PROMPT_TIMEOUT_SECONDS))
