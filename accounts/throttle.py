"""Limits failed logins, per account and per address.

A login is reserved before its password is hashed and given back when the password was right. Counting failures
afterwards would let any number of parallel guesses pass while none has failed yet, and a flood wants us to hash.

The counts are in Redis. While it is away each process counts for itself, from zero.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
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
_RESERVE = load_script(Path(__file__).parent / "lua" / "reserve_login.lua")


@dataclass(frozen=True)
class Attempt:
    """A login that is counted until its window ends or it is given back."""

    id: str
    account_key: str
    address_key: str


class LocalCounts:
    """What reserve_login.lua keeps, in this process, for at most `capacity` keys; the longest unused go first."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._times: OrderedDict[str, dict[str, int]] = OrderedDict()

    def reserve(self, attempt_id: str, limits: dict[str, int], now_ms: int) -> int:
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


class LoginThrottle:
    """Counts logins in Redis while it answers, and in this process while it does not."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._breaker = Breaker()
        self._local = LocalCounts()

    def reserve(
        self, *, account: str, address: str, account_limit: int, address_limit: int, now_ms: int | None = None
    ) -> Attempt:
        """Count a login; raises RateLimited, with nothing counted, when account or address has used up its minute."""
        attempt = Attempt(uuid4().hex, _key("account", account), _key("address", address_block(address)))
        wait_ms = self._breaker.call(
            lambda: _RESERVE(
                self._client,
                keys={"account": attempt.account_key, "address": attempt.address_key},
                attempt=attempt.id,
                account_limit=account_limit,
                address_limit=address_limit,
                window_ms=WINDOW_MS,
                now_ms="" if now_ms is None else now_ms,
            ),
            None,
        )
        if wait_ms is None:
            limits = {attempt.account_key: account_limit, attempt.address_key: address_limit}
            wait_ms = self._local.reserve(attempt.id, limits, _elapsed_ms() if now_ms is None else now_ms)
        if wait_ms > 0:
            raise RateLimited("Too many failed logins: wait and try again.", retry_after_seconds=wait_ms / 1000)
        return attempt

    def give_back(self, attempt: Attempt) -> None:
        """Count a login no longer, because its password was right."""
        keys = (attempt.account_key, attempt.address_key)
        self._local.give_back(attempt.id, keys)
        self._breaker.call(lambda: self._remove(attempt.id, keys), None)

    def _remove(self, attempt_id: str, keys: tuple[str, ...]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.zrem(key, attempt_id)
            pipeline.execute()


@functools.lru_cache(maxsize=1)
def throttle_at(redis_url: str) -> LoginThrottle:
    """This process's throttle."""
    return LoginThrottle(redis_client(redis_url, timeout_seconds=1.0))


def reserve_login(*, account: str, address: str) -> Attempt:
    """Count a login within the limits of the settings; raises RateLimited."""
    options = settings.DTQ_ACCOUNTS
    return throttle_at(settings.REDIS_URL).reserve(
        account=account,
        address=address,
        account_limit=options.login_failures_per_account,
        address_limit=options.login_failures_per_address,
    )


def give_back(attempt: Attempt) -> None:
    """Count a login no longer, because its password was right."""
    throttle_at(settings.REDIS_URL).give_back(attempt)


def _key(kind: str, value: str) -> str:
    """One hash tag for all, as a login touches two keys in one script; hashed, as people type passwords as names."""
    return f"dtq:{{login}}:{kind}:{hashlib.sha256(value.encode()).hexdigest()}"


def _elapsed_ms() -> int:
    return int(elapsed_clock() * 1000)
