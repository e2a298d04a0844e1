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


def test_the_pause_doubles_while_failures_repeat_and_is_short_again_after_a_success():
    now = [100.0]
    breaker = Breaker(pause_seconds=1.0, longest_seconds=10.0, clock=lambda: now[0])

    def pause() -> float:
        breaker.call(failing, None)
        begun = now[0]
        while not breaker.passing:
            now[0] += 0.5
        return now[0] - begun

    assert [pause() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert breaker.call(lambda: "answer", None) == "answer"
    assert pause() == 1


def test_calls_that_fail_together_count_as_one_failure():
    now = [100.0]
    breaker = Breaker(pause_seconds=1.0, clock=lambda: now[0])

    for _ in range(5):
        breaker.trip()
    now[0] += 1.0
    assert breaker.passing
    breaker.trip()
    now[0] += 1.0
    assert not breaker.passing


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
