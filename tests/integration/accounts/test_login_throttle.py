"""Failed logins are limited per account and per address, with Redis and without."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pytest_django import Settings
from redis import Redis

from accounts import authentication, registration, throttle
from accounts.client_address import address_block
from accounts.models import User
from accounts.throttle import WINDOW_MS, Attempt, Throttle, key_of
from dtq_site.foundation.errors import BadInput, Conflict, RateLimited, Unauthenticated
from dtq_site.foundation.redis_clients import redis_client
from tests.integration.accounts.making import ADDRESS, PASSWORD, make_user, sign_in
from tests.support.api import ask

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
        fail(("ann", " Ann", "ANN ")[number % 3], f"192.0.2.{number}")

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
@pytest.mark.parametrize("known", [True, False])
def test_the_count_does_not_tell_whether_a_name_and_an_address_are_of_one_account(known: bool):
    if known:
        make_user("ann")

    for number in range(5):
        fail("ann", f"192.0.2.{number}")
    for number in range(10):
        fail("ann@example.com", f"192.0.2.{number}")

    with pytest.raises(RateLimited):
        sign_in("ann@example.com")
    fail("ann")


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
    access = authentication.authenticate(sign_in().access_token)
    before = User.objects.values().get()
    fail("ann")

    with pytest.raises(RateLimited):
        authentication.change_password(
            identity=access.identity,
            session_id=access.session_id,
            current=PASSWORD,
            new="another fine day",
            address="192.0.2.8",
        )

    assert User.objects.values().get() == before


@pytest.fixture(params=["with Redis", "without Redis"])
def fresh_throttle(request: pytest.FixtureRequest, redis_server: Redis, settings: Settings) -> Throttle:
    """A throttle of its own, over the run's Redis or over none."""
    url = settings.REDIS_URL if request.param == "with Redis" else NOWHERE
    return Throttle(redis_client(url, timeout_seconds=5))


def reserving(counts: Throttle, **limits: int) -> Callable[..., Attempt]:
    limits = {"account": 3, "address": 1000, **limits}

    def reserve(now_ms: int | None = None, account: str = "ann", address: str = ADDRESS) -> Attempt:
        keys = {"account": account, "address": address_block(address)}
        limit_of = {key_of(kind, value): limits[kind] for kind, value in keys.items()}
        return counts.reserve(limit_of, "Wait.", now_ms=now_ms)

    return reserve


def test_the_wait_ends_one_minute_after_the_oldest_failure_that_counts(fresh_throttle: Throttle):
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


def test_a_limit_that_was_lowered_counts_what_was_there_before(fresh_throttle: Throttle):
    for now_ms in (1_000_000, 1_010_000, 1_020_000):
        reserving(fresh_throttle)(now_ms)

    with pytest.raises(RateLimited) as refusal:
        reserving(fresh_throttle, account=1)(1_030_000)

    assert refusal.value.retry_after_seconds == 50


def test_a_parallel_flood_gets_no_more_than_the_limit_through(fresh_throttle: Throttle):
    reserve = reserving(fresh_throttle)

    def passes(_: int) -> bool:
        try:
            reserve()
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(64))) == 3


def test_an_ipv6_client_cannot_escape_within_its_own_network(fresh_throttle: Throttle):
    reserve = reserving(fresh_throttle, address=1)
    reserve(account="ann", address="2001:db8::1")

    with pytest.raises(RateLimited):
        reserve(account="bob", address="2001:db8::2")

    reserve(account="bob", address="2001:db8:0:1::1")


def test_redis_keeps_two_keys_of_one_slot_for_one_window_and_no_name(redis_server: Redis, settings: Settings):
    counts = Throttle(redis_client(settings.REDIS_URL, timeout_seconds=5))

    attempt = reserving(counts)()

    keys = sorted(redis_server.keys())
    assert keys == sorted(attempt.keys)
    assert len(keys) == 2
    assert all(key.startswith("dtq:{login}:") and "ann" not in key for key in keys)
    assert all(0 < redis_server.pttl(key) <= WINDOW_MS for key in keys)
    counts.give_back(attempt)
    assert redis_server.keys() == []


@both_ways
@pytest.mark.django_db
def test_an_address_registers_so_often_a_minute_and_refused_attempts_count(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, registrations_per_address=3)
    registration.register(email="ann@example.com", password=PASSWORD, address=ADDRESS)
    for _ in range(2):
        with pytest.raises(Conflict):
            registration.register(email="ann@example.com", password=PASSWORD, address=ADDRESS)

    with pytest.raises(RateLimited) as refusal:
        registration.register(email="bob@example.com", password=PASSWORD, address=ADDRESS)

    assert 55 < refusal.value.retry_after_seconds <= 60
    assert refusal.value.message == "Too many registrations: wait and try again."
    assert list(User.objects.values_list("username", flat=True)) == ["ann@example.com"]
    assert sign_in("ann@example.com").user.username == "ann@example.com"
    assert registration.register(email="bob@example.com", password=PASSWORD, address="192.0.2.8").username


@both_ways
@pytest.mark.django_db
def test_what_is_refused_before_anything_is_told_of_other_accounts_is_no_attempt(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, registrations_per_address=1)
    for _ in range(3):
        with pytest.raises(BadInput):
            registration.register(email="ann@example.com", password="short", address=ADDRESS)

    assert registration.register(email="ann@example.com", password=PASSWORD, address=ADDRESS).username


def test_one_key_alone_is_counted_once(fresh_throttle: Throttle):
    limits = {key_of("registrations", ADDRESS): 2}
    fresh_throttle.reserve(limits, "Wait.", now_ms=1_000_000)
    fresh_throttle.reserve(limits, "Wait.", now_ms=1_010_000)

    with pytest.raises(RateLimited) as refusal:
        fresh_throttle.reserve(limits, "Wait.", now_ms=1_020_000)

    assert (refusal.value.message, refusal.value.retry_after_seconds) == ("Wait.", 40)


def test_processes_share_their_counts_over_redis(redis_server: Redis, settings: Settings):
    one, other = (Throttle(redis_client(settings.REDIS_URL, timeout_seconds=5)) for _ in range(2))
    reserving(one, account=2)()
    reserving(other, account=2)()

    for counts in (one, other):
        with pytest.raises(RateLimited):
            reserving(counts, account=2)()


@pytest.mark.django_db
def test_over_graphql_a_refused_login_says_when_to_come_back(settings: Settings):
    settings.DTQ_ACCOUNTS = replace(settings.DTQ_ACCOUNTS, login_failures_per_account=1)
    operation = 'mutation { login(input: {username: "ann", password: "wrong"}) { accessToken } }'
    make_user("ann")
    ask(operation)

    (error,) = ask(operation)["errors"]

    assert error["message"] == "Too many failed logins: wait and try again."
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 55 < error["extensions"]["retryAfter"] <= 60


@pytest.mark.django_db
def test_one_operation_cannot_have_any_number_of_passwords_hashed(monkeypatch: pytest.MonkeyPatch):
    make_user("ann")
    login = f'login(input: {{username: "ann", password: "{PASSWORD}"}}) {{ accessToken }}'
    several, many = (" ".join(f"n{number}: {login}" for number in range(count)) for count in (5, 11))
    assert len(ask(f"mutation {{ {several} }}")["data"]) == 5
    monkeypatch.setattr(authentication, "check_password", lambda *args: pytest.fail("hashed"))

    (error,) = ask(f"mutation {{ {many} }}")["errors"]

    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
