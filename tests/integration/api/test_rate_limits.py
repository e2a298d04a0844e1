"""The buckets of permits: exact in Redis, shared by processes, asked for one request in ten, open without Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from accounts.identity import Identity
from accounts.roles import Role
from dtq_site.api import rate_limits
from dtq_site.api.rate_limits import MOST_UNASKED, RateLimits
from dtq_site.foundation.errors import RateLimited
from dtq_site.foundation.lua import load_script
from tests.unit.api.small_schema import CONTEXT

TAKE = load_script(Path(rate_limits.__file__).parent / "lua" / "take_permits.lua")
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


class Clock:
    """Elapsed seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Away:
    """A Redis that refuses, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def evalsha(self, *_: object) -> int:
        self.calls += 1
        raise RedisAway


def somebody(address: str = "192.0.2.1") -> rate_limits.RequestContext:
    return replace(CONTEXT, address=address)


def a_user() -> rate_limits.RequestContext:
    return replace(CONTEXT, identity=Identity(uuid4(), "ann", Role.USER, uuid4()))


@pytest.fixture
def take(redis_server: Redis) -> Callable[..., int]:
    """Takes out of a bucket of 10 that gets another 5 a second."""

    def take(wanted: int, *, now_us: int = NOW, owed: int = 0) -> int:
        return TAKE(redis_server, keys={"bucket": "bucket"}, owed=owed, wanted=wanted, rate=5, burst=10, now_us=now_us)

    return take


# --- the script ---------------------------------------------------------------------------------------------------------


def test_a_bucket_is_full_at_first_and_empties(take: Callable[..., int]):
    assert [take(1) for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert take(1) == -200


def test_a_refusal_takes_nothing(take: Callable[..., int]):
    take(8)

    assert [take(3), take(3), take(2)] == [-200, -200, 0]


def test_a_bucket_refills_evenly_and_never_beyond_its_rim(take: Callable[..., int]):
    take(10)

    assert take(1, now_us=NOW + SECOND // 5 - 1) == -1
    assert take(1, now_us=NOW + SECOND // 5) == 0
    assert take(1, now_us=NOW + 60 * SECOND) == 9


def test_what_is_owed_is_taken_even_from_an_empty_bucket(take: Callable[..., int]):
    take(10)

    assert take(1, owed=3) == -800
    assert take(1, now_us=NOW + SECOND * 4 // 5) == 0


def test_a_full_bucket_leaves_nothing_in_redis(take: Callable[..., int], redis_server: Redis):
    take(2)

    assert 0 < redis_server.pttl("bucket") <= 400


# --- the limits ---------------------------------------------------------------------------------------------------------


def passing(limits: RateLimits, client: rate_limits.RequestContext, tries: int) -> int:
    passed = 0
    for _ in range(tries):
        try:
            limits.take(client)
            passed += 1
        except RateLimited:
            continue
    return passed


def test_one_process_lets_through_the_burst_and_not_one_more(redis_server: Redis):
    limits = RateLimits(redis_server, rate=1, burst=500)

    assert passing(limits, a_user(), 600) in (500, 501)  # a second may pass meanwhile


def test_several_processes_share_a_bucket_to_within_a_few_requests_each(redis_server: Redis):
    processes = [RateLimits(redis_server, rate=1, burst=300) for _ in range(3)]
    client = a_user()

    passed = sum(passing(limits, client, 1) for _ in range(200) for limits in processes)

    assert 300 <= passed <= 300 + 3 * MOST_UNASKED + 2


def test_most_requests_are_let_through_without_asking(redis_server: Redis):
    limits = RateLimits(redis_server, rate=1, burst=2000)
    client = a_user()
    before = redis_server.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]

    passing(limits, client, 500)

    assert redis_server.info("commandstats")["cmdstat_evalsha"]["calls"] - before == 50


def test_who_is_refused_is_told_when_to_come_back_and_costs_redis_nothing_until_then(redis_server: Redis):
    clock = Clock()
    limits = RateLimits(redis_server, rate=1, burst=1, clock=clock)
    client = a_user()
    limits.take(client)
    with pytest.raises(RateLimited) as first:
        limits.take(client)
    redis_server.flushall()

    clock.seconds += 0.25
    by_id = partial(limits.refuse_exhausted_user, client.identity.user_id)
    for refuse in (partial(limits.take, client), partial(limits.refuse_exhausted, client), by_id):
        with pytest.raises(RateLimited) as later:
            refuse()
        assert later.value.retry_after_seconds == pytest.approx(first.value.retry_after_seconds - 0.25)

    clock.seconds += first.value.retry_after_seconds
    limits.refuse_exhausted(client)
    limits.take(client)
    assert 0.9 < first.value.retry_after_seconds <= 1.0


def test_a_look_at_who_is_exhausted_takes_nothing(redis_server: Redis):
    limits = RateLimits(redis_server, rate=1, burst=1)

    limits.refuse_exhausted(a_user())

    assert redis_server.keys("dtq:rate:*") == []


def test_users_and_addresses_have_buckets_of_their_own(redis_server: Redis):
    limits = RateLimits(redis_server, rate=1, burst=1)
    clients = [a_user(), a_user(), somebody("192.0.2.1"), somebody("192.0.2.2"), somebody("2001:db8::1")]

    assert [passing(limits, client, 2) for client in clients] == [1, 1, 1, 1, 1]
    assert passing(limits, somebody("2001:db8::ffff"), 1) == 0  # the same network, which one client has to itself


def test_a_heavy_request_takes_several_permits_and_at_most_the_whole_bucket(redis_server: Redis):
    limits = RateLimits(redis_server, rate=1, burst=10)
    client, other = a_user(), a_user()

    limits.take(client, 8)
    with pytest.raises(RateLimited) as refused:
        limits.take(client, 5)
    limits.take(other, 50)

    assert 2 < refused.value.retry_after_seconds <= 3
    assert passing(limits, other, 1) == 0


def test_a_rate_of_nothing_is_no_limit():
    redis = Away()
    limits = RateLimits(redis, rate=0, burst=1)

    limits.refuse_exhausted(a_user())
    limits.take(a_user(), 1000)

    assert redis.calls == 0


def test_without_redis_everybody_passes_at_the_price_of_one_question():
    redis = Away()
    limits = RateLimits(redis, rate=1, burst=1)

    assert passing(limits, a_user(), 100) == 100
    assert redis.calls == 1


def test_clients_that_were_not_seen_for_long_are_forgotten(redis_server: Redis, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_limits, "_REMEMBERED_CLIENTS", 2)
    limits = RateLimits(redis_server, rate=1, burst=100)

    for _ in range(5):
        limits.take(a_user())

    assert len(limits._tabs) == 2
