"""The open WebSockets of this process: how many of whom, and the one check of all: do their tokens hold, do they read?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from accounts.authentication import Access, still_valid
from accounts.client_address import address_block
from accounts.identity import Identity
from dtq_site.api.limits import QueryTooComplex
from dtq_site.api.options import ApiOptions
from dtq_site.api.outbox import Backlog
from dtq_site.api.protocol import CloseCode, Closing
from dtq_site.api.threads import RequestThreads
from dtq_site.foundation.clock import Clock, elapsed_clock
from dtq_site.foundation.errors import DTQError
from dtq_site.foundation.observer import Observer

if TYPE_CHECKING:
    from dtq_site.api.websocket import GraphQLSocket

CHECK_SECONDS = 2.0
_AT_ONCE = 500


class TooManyOperations(DTQError):
    """Too many operations live on this socket, or subscriptions on all of yours: complete some."""

    code = "TOO_MANY_OPERATIONS"


class TooMuchToShow(QueryTooComplex):
    """More happens to what you follow than can be shown: follow less, or leave out payload, result or logs."""


class Sockets:
    """Keeps the open ones. Their tokens are looked up together, however many there are."""

    def __init__(self, threads: RequestThreads, options: ApiOptions, clock: Clock, observer: Observer) -> None:
        self._threads, self._options, self._clock, self._observer = threads, options, clock, observer
        self._open: set[GraphQLSocket] = set()
        self._of_users: Counter[UUID] = Counter()
        self._backlogs: dict[UUID, Backlog] = {}
        self._unsigned: dict[GraphQLSocket, str] = {}
        self._unsigned_of: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def let_in(self, socket: GraphQLSocket, address: str) -> bool:
        """Count a socket whose client has not said who it is; False if there are too many of that address."""
        block = address_block(address)
        if self._unsigned_of[block] >= self._options.unsigned_sockets_per_address:
            return False
        self._unsigned[socket] = block
        self._unsigned_of[block] += 1
        return True

    def admit(self, socket: GraphQLSocket, access: Access) -> Backlog:
        """Keep an eye on a socket whose client has proved who it is. Raises Closing if the account has too many.

        Returns what the account's sockets have in common.
        """
        user_id = access.identity.user_id
        if self._of_users[user_id] >= self._options.sockets_per_user:
            raise Closing(CloseCode.TOO_MANY, f"An account has at most {self._options.sockets_per_user:,} sockets")
        self._forget_unsigned(socket)
        self._of_users[user_id] += 1
        self._open.add(socket)
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())
        return self._backlogs.setdefault(user_id, Backlog(self._options.socket_backlog_bytes))

    def follow_too_much(self, socket: GraphQLSocket) -> bool:
        """Whether the account of that socket has as many subscriptions as it may, on all its sockets together."""
        user_id = socket.access.identity.user_id
        own = (each.subscription_count for each in self._open if each.access.identity.user_id == user_id)
        return sum(own) >= self._options.subscriptions_per_user

    def discard(self, socket: GraphQLSocket) -> None:
        """Forget a socket that is closed; it may never have been admitted."""
        self._forget_unsigned(socket)
        if socket in self._open:
            self._open.remove(socket)
            user_id = socket.access.identity.user_id
            _count_down(self._of_users, user_id)
            if user_id not in self._of_users:
                del self._backlogs[user_id]

    def _forget_unsigned(self, socket: GraphQLSocket) -> None:
        block = self._unsigned.pop(socket, None)
        if block is not None:
            _count_down(self._unsigned_of, block)

    async def _watch(self) -> None:
        while self._open:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except Exception as error:  # the database is away: nobody is locked out for that
                self._observer.emit("sockets.unchecked", error=repr(error))
        self._task = None

    async def check(self) -> None:
        """Close the sockets that read nothing, and those whose token opens no more what it did: 4403."""
        now, patience = elapsed_clock(), self._options.socket_patience.total_seconds()
        for socket in list(self._open):
            if socket.stalled_since is not None and now - socket.stalled_since > patience:
                socket.hang_up(Closing(CloseCode.TOO_SLOW, "The client does not read what it asked for"))
        accesses = list({socket.access for socket in self._open})
        valid: dict[Access, Identity] = {}
        for start in range(0, len(accesses), _AT_ONCE):
            part = accesses[start : start + _AT_ONCE]
            valid |= await self._threads.run(lambda part=part: still_valid(part, self._clock.now()))
        checked = set(accesses)
        for socket in list(self._open):
            if socket.access in checked and valid.get(socket.access) != socket.access.identity:
                socket.hang_up(Closing(CloseCode.FORBIDDEN, "The token holds no more; sign in again"))


def _count_down(counts: Counter[Any], key: Hashable) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
