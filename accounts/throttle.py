"""Limits failed logins, per account as it is typed and per address, and registrations per address.

A login is reserved before its password is hashed and given back when the password was right. Counting failures
afterwards would let any number of parallel guesses pass while none has failed yet, and a flood wants us to hash.

The counts are in Redis. While it is away each process counts for itself, from zero.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from redis import Redis

from accounts.client_address import address_block
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import RateLimited
from dtq_site.foundation.lua import load_script
from dtq_site.foundation.redis_clients import Breaker, redis_client

WINDOW_MS = 60_000
_RESERVE = load_script(Path(__file__).parent / "lua" / "reserve_attempt.lua")


@dataclass(frozen=True)
class Attempt:
    """A login or registration that is counted until its window ends or it is given back."""

    id: str
    keys: tuple[str, ...]


class LocalCounts:
    """What reserve_attempt.lua keeps, in this process, for at most `capacity` keys; the longest unused go first."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._times: OrderedDict[str, dict[str, int]] = OrderedDict()

    def reserve(self, attempt_id: str, limits: Mapping[str, int], now_ms: int) -> int:
        """Count the attempt for every key of `limits` and return 0, or count nothing and return the ms to wait."""
        with self._lock:
            wait = max(self._wait_ms(key, limit, now_ms) for key, limit in limits.items())
            if wait == 0:
                for key in limits:
                    self._times.setdefault(key, {})[attempt_id] = now_ms
                while len(self._times) > self._capacity:
                    self._times.popitem(last=False)
            return wait

    def _wait_ms(self, key: str, limit: int, now_ms: int) -> int:
        times = {each: at for each, at in self._times.pop(key, {}).items() if at > now_ms - WINDOW_MS}
        if times:
            self._times[key] = times
        if len(times) < limit:
            return 0
        return sorted(times.values())[-limit] + WINDOW_MS - now_ms

    def give_back(self, attempt_id: str, keys: tuple[str, ...]) -> None:
        """Count the attempt no longer."""
        with self._lock:
            for key in keys:
                self._times.get(key, {}).pop(attempt_id, None)


class Throttle:
    """Counts attempts in Redis while it answers, and in this process while it does not."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._breaker = Breaker()
        self._local = LocalCounts()

    def reserve(self, limits: Mapping[str, int], refusal: str, *, now_ms: int | None = None) -> Attempt:
        """Count an attempt for each key of `limits`, of which there are one or two.

        Raises RateLimited with the message `refusal`, with nothing counted, when one of them has used up its minute.
        """
        attempt = Attempt(uuid4().hex, tuple(limits))
        first, second = attempt.keys[0], attempt.keys[-1]
        wait_ms = self._breaker.call(
            lambda: _RESERVE(
                self._client,
                keys={"first": first, "second": second},
                attempt=attempt.id,
                first_limit=limits[first],
                second_limit=limits[second],
                window_ms=WINDOW_MS,
                now_ms="" if now_ms is None else now_ms,
            ),
            None,
        )
        if wait_ms is None:
            wait_ms = self._local.reserve(attempt.id, limits, _elapsed_ms() if now_ms is None else now_ms)
        if wait_ms > 0:
            raise RateLimited(refusal, retry_after_seconds=wait_ms / 1000)
        return attempt

    def give_back(self, attempt: Attempt) -> None:
        """Count an attempt no longer."""
        self._local.give_back(attempt.id, attempt.keys)
        self._breaker.call(lambda: self._remove(attempt), None)

    def _remove(self, attempt: Attempt) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for key in attempt.keys:
                pipeline.zrem(key, attempt.id)
            pipeline.execute()


@functools.lru_cache(maxsize=1)
def throttle_at(redis_url: str) -> Throttle:
    """This process's throttle."""
    return Throttle(redis_client(redis_url, timeout_seconds=1.0))


def reserve_login(*, account: str, address: str) -> Attempt:
    """Count a login within the limits of the settings; `account` is what was typed, folded. Raises RateLimited."""
    options = settings.DTQ_ACCOUNTS
    limits = {
        key_of("account", account): options.login_failures_per_account,
        key_of("address", address_block(address)): options.login_failures_per_address,
    }
    return throttle_at(settings.REDIS_URL).reserve(limits, "Too many failed logins: wait and try again.")


def give_back(attempt: Attempt) -> None:
    """Count a login no longer, because its password was right."""
    throttle_at(settings.REDIS_URL).give_back(attempt)


def count_registration(address: str) -> None:
    """Count a registration, successful or not, within the limit of the settings; raises RateLimited."""
    limits = {key_of("registrations", address_block(address)): settings.DTQ_ACCOUNTS.registrations_per_address}
    throttle_at(settings.REDIS_URL).reserve(limits, "Too many registrations: wait and try again.")


def key_of(kind: str, value: str) -> str:
    """One hash tag for all, as a login touches two keys in one script; hashed, as people type passwords as names."""
    return f"dtq:{{login}}:{kind}:{hashlib.sha256(value.encode()).hexdigest()}"


def _elapsed_ms() -> int:
    return int(elapsed_clock() * 1000)
