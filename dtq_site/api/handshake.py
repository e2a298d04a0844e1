"""Who connects to the WebSocket: from which page, and with which token. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dtq_site.foundation.errors import Unauthenticated


def is_origin_allowed(headers: Mapping[str, str], allowed: tuple[str, ...]) -> bool:
    """Whether a page of that origin may connect: ours may, those named may, and who is no browser's page sends none."""
    origin = headers.get("origin")
    return origin is None or origin in allowed or urlsplit(origin).netloc == headers.get("host")


def token_in(payload: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The access token of a `connection_init`, or else of the handshake; raises Unauthenticated if there is none.

    It is looked for as `Authorization` or `token`, in any case, also among `headers` within the payload.
    """
    within = payload.get("headers")
    for place in (payload, within if isinstance(within, dict) else {}, headers):
        named = {name.lower(): value for name, value in place.items() if isinstance(value, str)}
        for name in ("authorization", "token"):
            if token := named.get(name, "").strip():
                scheme, _, rest = token.partition(" ")
                return rest.strip() if scheme.lower() == "bearer" else token
    raise Unauthenticated
