"""Failed logins are limited per account and per address, with Redis and without."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pytest_django import Settings
from redis import Redis

from accounts import authentication, throttle
from accounts.models import User
from accounts.throttle import WINDOW_MS, LoginThrottle
from dtq_site.foundation.errors import RateLimited, Unauthenticated
from dtq_site.foundation.redis_clients import redis_client
from tests.integration.accounts.making import ADDRESS, PASSWORD, make_user, sign_in

NOWHERE = "unix:///nowhere/redis.sock"


@pytest.fixture(params=["with Redis", "without Redis"])
def redis_or_none(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Both ways to count; each test begins with nothing counted."""
    if request.param == "without Redis":
        settings.REDIS_URL = NOWHERE
    throttle.throttle_at.cache_clear()


both_ways = pytest.mark.usefixtures("redis_or_none")


def fail(login: str, address: str = ADDRESS) -> None:
    with pytest.raises(Unauthenticated):
        sign_in(login, "wrong", address)


@both_ways
@pytest.mark.django_db
def test_after_ten_failures_an_account_is_closed_even_to_the_right_password():
    make_user("ann")
    make_user("bob")
    for number in range(10):
        fail(("ann", "ann@example.com", "ANN")[number % 3], f"192.0.2.{number}")

    with pytest.raises(RateLimited) as refusal:
        sign_in("ann", PASSWORD)

    assert 55 < refusal.value.retry_after_seconds <= 60
    assert sign_in("bob").user.username == "bob"


@both_ways
@pytest.mark.django_db
def test_an_unknown_account_closes_like_a_known_one():
    for _ in range(10):
        fail("nobody")

    with pytest.raises(RateLimited):
        sign_in("Nobody")


@both_ways
@pytest.mark.django_db
def test_after_thirty_failures_an_address_is_closed_for_every_account():
    make_user("ann")
    for number in range(30):
        fail(f"guess-{number}")

    with pytest.raises(RateLimited):
        sign_in("ann", PASSWORD)

    assert sign_in("ann", PASSWORD, "192.0.2.8").user.username == "ann"


@both_ways
@pytest.mark.django_db
def test_right_passwords_are_never_counted():
    make_user("ann")

    for _ in range(35):
        sign_in()

    fail("ann")


@both_ways
@pytest.mark.django_db
def test_a_refused_login_hashes_nothing_and_counts_nothing(monkeypatch: pytest.MonkeyPatch, settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_account=1, login_failures_per_address=2)
    make_user("ann")
    make_user("bob")
    fail("ann")
    monkeypatch.setattr(authentication, "check_password", lambda *args: pytest.fail("hashed"))

    for _ in range(3):
        with pytest.raises(RateLimited):
            sign_in("ann")

    monkeypatch.undo()
    assert sign_in("bob").user.username == "bob"


@both_ways
@pytest.mark.django_db
def test_guesses_at_the_present_password_of_an_account_count_too(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_account=1)
    make_user("ann")
    identity = authentication.identity_from_token(sign_in().access_token)
    before = User.objects.values().get()
    fail("ann")

    with pytest.raises(RateLimited):
        authentication.change_password(identity=identity, current=PASSWORD, new="another fine day", address="192.0.2.8")

    assert User.objects.values().get() == before


@pytest.fixture(params=["with Redis", "without Redis"])
def fresh_throttle(request: pytest.FixtureRequest, redis_server: Redis, settings: Settings) -> LoginThrottle:
    """A throttle of its own, over the run's Redis or over none."""
    url = settings.REDIS_URL if request.param == "with Redis" else NOWHERE
    return LoginThrottle(redis_client(url, timeout_seconds=5))


def reserving(counts: LoginThrottle, **limits: int) -> Callable[..., object]:
    limits = {"account_limit": 3, "address_limit": 1000, **limits}

    def reserve(now_ms: int | None = None, account: str = "ann", address: str = ADDRESS) -> object:
        return counts.reserve(account=account, address=address, now_ms=now_ms, **limits)

    return reserve


def test_the_wait_ends_one_minute_after_the_oldest_failure_that_counts(fresh_throttle: LoginThrottle):
    reserve = reserving(fresh_throttle)
    for now_ms in (1_000_000, 1_010_000, 1_020_000):
        reserve(now_ms)

    with pytest.raises(RateLimited) as refusal:
        reserve(1_030_000)

    assert refusal.value.retry_after_seconds == 30
    with pytest.raises(RateLimited):
        reserve(1_000_000 + WINDOW_MS - 1)
    reserve(1_000_000 + WINDOW_MS)
    with pytest.raises(RateLimited):
        reserve(1_000_000 + WINDOW_MS)


def test_a_limit_that_was_lowered_counts_what_was_there_before(fresh_throttle: LoginThrottle):
    for now_ms in (1_000_000, 1_010_000, 1_020_000):
        reserving(fresh_throttle)(now_ms)

    with pytest.raises(RateLimited) as refusal:
        reserving(fresh_throttle, account_limit=1)(1_030_000)

    assert refusal.value.retry_after_seconds == 50


def test_a_parallel_flood_gets_no_more_than_the_limit_through(fresh_throttle: LoginThrottle):
    reserve = reserving(fresh_throttle)

    def passes(_: int) -> bool:
        try:
            reserve()
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(64))) == 3


def test_an_ipv6_client_cannot_escape_within_its_own_network(fresh_throttle: LoginThrottle):
    reserve = reserving(fresh_throttle, address_limit=1)
    reserve(account="ann", address="2001:db8::1")

    with pytest.raises(RateLimited):
        reserve(account="bob", address="2001:db8::2")

    reserve(account="bob", address="2001:db8:0:1::1")


def test_redis_keeps_two_keys_of_one_slot_for_one_window_and_no_name(redis_server: Redis, settings: Settings):
    counts = LoginThrottle(redis_client(settings.REDIS_URL, timeout_seconds=5))

    attempt = reserving(counts)()

    keys = sorted(redis_server.keys())
    assert keys == [attempt.account_key, attempt.address_key]
    assert all(key.startswith("dtq:{login}:") and "ann" not in key for key in keys)
    assert all(0 < redis_server.pttl(key) <= WINDOW_MS for key in keys)
    counts.give_back(attempt)
    assert redis_server.keys() == []
