"""Tokens in Redis and in rows: both give what the rule says, and losing either costs a burst at most."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from dtq_site.foundation.redis_clients import redis_client
from tasks import limit_line
from tasks.domain import rates
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.rates import Rate
from tasks.queue import keys
from tasks.tokens import Bucket, Tokens, microseconds, tokens
from tests.support.factories import START, after

NOW = microseconds(START)
LIMIT = Limit(Kind.RATE, Scope.QUEUE, "mail")
OTHER = Limit(Kind.RATE, Scope.HANDLER, "send:mail", "a/ä b")
RATE = Rate(10, "s", 3)


@pytest.fixture
def without_redis() -> Tokens:
    """Tokens while Redis is away."""
    return Tokens(redis_client("redis://127.0.0.1:1/0", timeout_seconds=0.05))


steps = st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(-3, 40)), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(count=st.integers(1, 3000), unit=st.sampled_from("smhd"), burst=st.integers(1, 30), steps=steps)
def test_redis_and_rows_give_exactly_what_the_rule_gives(
    redis_server: Redis, without_redis: Tokens, count, unit, burst, steps
):
    rate, full_at, now = rates.read_rate(f"{count}/{unit}", burst), 0, START
    asked, expected = [], []
    for pause, wanted in steps:
        now += timedelta(microseconds=pause)
        taken, full_then = rates.take(rate, full_at, microseconds(now), wanted)
        asked.append((now, {LIMIT: (rate, wanted)}))
        expected.append({LIMIT: Bucket(taken, full_then - microseconds(now))})
        full_at = full_then if taken else full_at
    redis_server.flushall()

    from_redis = [tokens().take(wanted, now, now_us=microseconds(now)) for now, wanted in asked]
    with transaction.atomic():
        from_rows = [without_redis.take(wanted, now) for now, wanted in asked]
        transaction.set_rollback(True)

    assert from_redis == from_rows == expected


def test_buckets_are_apart_and_asked_for_together(redis_server: Redis):
    found = tokens().take({LIMIT: (RATE, 2), OTHER: (RATE, 5)}, START, now_us=NOW)

    assert found == {LIMIT: Bucket(2, 200_000), OTHER: Bucket(3, 300_000)}
    assert sorted(redis_server.keys()) == sorted(f"{keys.BUCKETS}{limit}" for limit in (LIMIT, OTHER))


def test_looking_takes_nothing_and_leaves_no_key(redis_server: Redis, without_redis: Tokens):
    assert tokens().look({LIMIT: RATE}, START) == {LIMIT: Bucket(0, 0)}
    assert without_redis.look({LIMIT: RATE}, START)[LIMIT].taken == 0
    assert redis_server.keys() == []


def test_a_bucket_that_is_full_again_is_soon_no_key_any_more(redis_server: Redis):
    tokens().take({LIMIT: (RATE, 3), OTHER: (Rate(1, "m", 3), 3)}, START)

    left_ms = [redis_server.pttl(f"{keys.BUCKETS}{limit}") for limit in (LIMIT, OTHER)]

    assert 0 < left_ms[0] <= 1000
    assert 170_000 < left_ms[1] <= 180_250


def test_when_redis_loses_its_data_a_burst_gets_through_and_no_more(redis_server: Redis):
    assert tokens().take({LIMIT: (RATE, 9)}, START, now_us=NOW)[LIMIT].taken == 3
    redis_server.flushall()

    assert tokens().take({LIMIT: (RATE, 9)}, START, now_us=NOW)[LIMIT].taken == 3
    assert tokens().take({LIMIT: (RATE, 9)}, START, now_us=NOW + 50_000)[LIMIT].taken == 0


def test_while_redis_is_away_rows_are_asked_and_rolled_back_with_the_claim(without_redis: Tokens):
    with transaction.atomic():
        assert without_redis.take({LIMIT: (RATE, 9)}, START)[LIMIT].taken == 3
    with transaction.atomic():
        assert without_redis.take({LIMIT: (RATE, 9)}, after(0.1))[LIMIT].taken == 1
        transaction.set_rollback(True)

    assert limit_line.full_at([LIMIT]) == {LIMIT: NOW + 300_000}
    assert without_redis.look({LIMIT: RATE}, after(0.1)) == {LIMIT: Bucket(0, 200_000)}
