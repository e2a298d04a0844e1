"""How the client of a WebSocket says who it is, and with which code the socket is closed if that, or anything else, fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.authentication import Access, authenticate
from dtq_site.api.engine import Engine
from dtq_site.api.handshake import token_in
from dtq_site.api.protocol import CloseCode, Closing
from dtq_site.foundation.errors import Unauthenticated

_PASSING = {"UNAVAILABLE", "RATE_LIMITED"}


def sign_in(payload: Mapping[str, Any], headers: Mapping[str, str], address: str, engine: Engine) -> tuple[str, Access]:
    """The token of a `connection_init`, and what it opens. It is counted like a request, whether the token holds or not.

    Raises Unauthenticated or RateLimited.
    """
    try:
        token = token_in(payload, headers)
        access = authenticate(token)
    except Unauthenticated:
        engine.count_refused(address)
        raise
    engine.count_user(access.identity.user_id)
    return token, access


def closing_for(error: BaseException, engine: Engine) -> Closing:
    """How to tell the client of an error that ends the socket."""
    if isinstance(error, Unauthenticated):
        return Closing(CloseCode.FORBIDDEN, f"Forbidden: {error.message}")
    shown = engine.refusal(error)
    code = CloseCode.UNAVAILABLE if shown.refused in _PASSING else CloseCode.INTERNAL
    return Closing(code, shown.body["errors"][0]["message"])
