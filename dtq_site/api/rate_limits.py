"""How many requests a client may send: a bucket of permits in Redis for each, shared by all processes of the API.

A process asks Redis for one request in ten. After each answer it lets a few requests pass on its own, a sixteenth of what
is left and nine at most, and tells of them with the next question. So a client is let through no more than its bucket
allows and nine requests a process beside it, and one whose bucket is nearly empty is counted one by one. Between two
questions nothing is lost: only what was used is ever taken. While Redis is away everybody may pass.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from redis import Redis

from accounts.client_address import address_block
from dtq_site.api.context import RequestContext
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import RateLimited
from dtq_site.foundation.lua import load_script
from dtq_site.foundation.redis_clients import Breaker

MOST_UNASKED = 9
_SHARE_UNASKED = 16
_REMEMBERED_CLIENTS = 20_000
_TAKE = load_script(Path(__file__).parent / "lua" / "take_permits.lua")


@dataclass
class _Tab:
    """One client in this process: permits that it may still have unasked, those that it had, and until when it has none."""

    free: int = 0
    owed: int = 0
    refused_until: float = 0.0


class RateLimits:
    """Lets through `rate` requests a second of each client, and `burst` at once; a rate of 0 is no limit."""

    def __init__(self, client: Redis, *, rate: int, burst: int, clock: Callable[[], float] = elapsed_clock) -> None:
        self._client, self._rate, self._burst, self._clock = client, rate, burst, clock
        self._breaker = Breaker()
        self._lock = threading.Lock()
        self._tabs: OrderedDict[str, _Tab] = OrderedDict()

    def refuse_exhausted(self, context: RequestContext) -> None:
        """Raise RateLimited if the client was refused a moment ago. Costs nothing and takes nothing."""
        self._look_at(client_of(context))

    def refuse_exhausted_user(self, user_id: UUID) -> None:
        """The same for a user of whom no more than a token has been read."""
        self._look_at(_user(user_id))

    def _look_at(self, name: str) -> None:
        if self._rate:
            with self._lock:
                self._refuse(self._tab(name))

    def take(self, context: RequestContext, permits: int = 1) -> None:
        """Count a request of this client, as heavy as `permits`; raises RateLimited, which says when to come back."""
        self._take(client_of(context), permits)

    def take_of_address(self, address: str) -> None:
        """The same for somebody of whom no more is known, such as the bearer of a token that does not hold."""
        self._take(_address(address), 1)

    def take_of_user(self, user_id: UUID) -> None:
        """The same for a user of whom no more is known."""
        self._take(_user(user_id), 1)

    def _take(self, name: str, permits: int) -> None:
        if not self._rate:
            return
        permits = min(permits, self._burst)
        with self._lock:
            tab = self._tab(name)
            self._refuse(tab)
            if tab.free >= permits:
                tab.free -= permits
                tab.owed += permits
                return
            owed, tab.free, tab.owed = tab.owed, 0, 0
        left = self._breaker.call(lambda: self._ask(name, owed, permits), None)
        if left is None:
            return
        with self._lock:
            if left < 0:
                tab.refused_until = self._clock() - left / 1000
                self._refuse(tab)
            # Other threads may have let some pass meanwhile, of which this answer knows nothing.
            tab.free = max(0, min(MOST_UNASKED, left // _SHARE_UNASKED) - tab.owed)

    def _ask(self, name: str, owed: int, permits: int) -> int:
        keys = {"bucket": f"dtq:rate:{{{name}}}"}
        return _TAKE(self._client, keys=keys, owed=owed, wanted=permits, rate=self._rate, burst=self._burst, now_us="")

    def _tab(self, name: str) -> _Tab:
        tab = self._tabs.setdefault(name, _Tab())
        self._tabs.move_to_end(name)
        if len(self._tabs) > _REMEMBERED_CLIENTS:
            self._tabs.popitem(last=False)
        return tab

    def _refuse(self, tab: _Tab) -> None:
        seconds = tab.refused_until - self._clock()
        if seconds > 0:
            raise RateLimited("Too many requests: wait and try again.", retry_after_seconds=seconds)


def client_of(context: RequestContext) -> str:
    """Who is counted: a user, each of its worker tokens apart, or the address of somebody who has not signed in."""
    if context.identity and context.identity.grant:
        return f"token:{context.identity.grant.token_id}"
    return _user(context.identity.user_id) if context.identity else _address(context.address)


def _address(address: str) -> str:
    return f"address:{address_block(address)}"


def _user(user_id: UUID) -> str:
    return f"user:{user_id}"
