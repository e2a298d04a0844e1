"""What every resolver knows of the request that it serves, as `info.context`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from graphql import FieldNode, GraphQLResolveInfo

from accounts.authentication import authenticate
from accounts.client_address import client_address
from accounts.identity import Identity
from accounts.tokens import read_access
from accounts.worker_tokens import identify, is_worker_token
from dtq_site.api.meter import Meter
from dtq_site.foundation.clock import Clock
from dtq_site.foundation.errors import Unauthenticated


@dataclass(frozen=True)
class Postponed:
    """A field of the operation's root that had nothing to show yet, and what its caller would wait for, and how long."""

    nodes: tuple[FieldNode, ...]
    wish: Any
    seconds: float


@dataclass(frozen=True)
class RequestContext:
    """Who asks, in which session, from where, and the clock to go by.

    `identity` and `session_id` are None for somebody who has not signed in. `request` is what carried the operation.
    `postponed` are the fields that are to be asked again, see `waiting.py`, and `waited_seconds` is for how long the request
    has been here when one is. `meter` counts the answer that is being made. `found` is what fields of one execution need find out
    only once, by a name.
    """

    identity: Identity | None
    session_id: UUID | None
    address: str
    request_id: str
    clock: Clock
    request: Any
    postponed: list[Postponed] = field(default_factory=list, compare=False)
    waited_seconds: float = 0.0
    meter: Meter = field(default_factory=Meter, compare=False)
    found: dict[str, Any] = field(default_factory=dict, compare=False)

    def postpone(self, info: GraphQLResolveInfo, wish: Any, seconds: float) -> None:
        """Have the field that is being resolved asked again when the wish may have come true, before it is answered.

        It is answered as it is where nobody can wait, or when the time is over. One field of an operation can wait.
        """
        self.postponed.append(Postponed(tuple(info.field_nodes), wish, seconds))


@dataclass(frozen=True)
class Doorkeeper:
    """Who is told of callers before their requests are looked at, and may raise.

    `admit` gets the user of an access token before the database is asked about it, and `refuse` the address from which a token
    came that does not hold.
    """

    admit: Callable[[UUID], None]
    refuse: Callable[[str], None]


def context_of(
    request: HttpRequest, *, request_id: str, clock: Clock, trusted_proxies: int, doorkeeper: Doorkeeper
) -> RequestContext:
    """The context of an HTTP request; raises Unauthenticated if its Authorization header is there and does not hold."""
    address = client_address(
        request.META.get("REMOTE_ADDR"), request.headers.get("X-Forwarded-For"), trusted_proxies=trusted_proxies
    )
    try:
        identity, session_id = _signed_in(_bearer_token(request.headers.get("Authorization")), doorkeeper)
    except Unauthenticated:
        doorkeeper.refuse(address)
        raise
    return RequestContext(identity, session_id, address, request_id, clock, request)


def _signed_in(token: str | None, doorkeeper: Doorkeeper) -> tuple[Identity | None, UUID | None]:
    if token is None:
        return None, None
    if is_worker_token(token):
        return identify(token), None
    doorkeeper.admit(read_access(token).user_id)
    access = authenticate(token)
    return access.identity, access.session_id


def _bearer_token(header: str | None) -> str | None:
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the header 'Authorization: Bearer <access token>', or none.")
    return token.strip()
