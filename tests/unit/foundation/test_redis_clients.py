"""The breaker: the absence of a server costs one time-out a pause, not one a call."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from dtq_site.foundation.redis_clients import Breaker, redis_client


def failing() -> str:
    raise RedisConnectionError("gone")


def test_after_a_failure_nothing_is_called_until_the_pause_is_over():
    now = [100.0]
    calls = []
    breaker = Breaker(pause_seconds=1.0, clock=lambda: now[0])

    assert breaker.call(failing, "otherwise") == "otherwise"
    assert breaker.call(lambda: calls.append(1) or "answer", "otherwise") == "otherwise"
    now[0] += 1.0

    assert breaker.call(lambda: calls.append(1) or "answer", "otherwise") == "answer"
    assert calls == [1]


def test_what_is_not_redis_s_failure_reaches_the_caller():
    breaker = Breaker()

    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 / 0, 0)

    assert breaker.passing


def test_a_client_never_repeats_a_command():
    client = redis_client("redis://127.0.0.1:1/0", timeout_seconds=0.5)

    assert client.get_connection_kwargs()["retry"].get_retries() == 0
    assert client.get_connection_kwargs()["socket_timeout"] == 0.5
    with pytest.raises(RedisConnectionError):
        client.ping()
