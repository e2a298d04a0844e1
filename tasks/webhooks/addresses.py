"""What an address may be that messages are sent to."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import httpx

from dtq_site.foundation.errors import BadInput
from tasks.http_guard import is_public

MAX_URL = 2000


def check_url(url: str, *, allow_http: bool, allow_private: bool) -> str:
    """The address, if messages may go there as far as it tells by itself; what its name stands for is seen when they do.

    Raises BadInput.
    """
    if len(url) > MAX_URL:
        raise BadInput(f"It has {len(url):,} characters; at most {MAX_URL:,} are allowed.", field="url")
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise BadInput(f"This is no address: {error}.", field="url") from None
    is_port = parsed.port is None or 0 < parsed.port < 65536  # the system would take it modulo 65,536
    if parsed.scheme not in ("https", "http") or not parsed.host or not is_port:
        raise BadInput("Write an address such as https://example.com/hooks.", field="url")
    if parsed.scheme == "http" and not allow_http:
        raise BadInput("It must begin with https://, for what is sent is for nobody else.", field="url")
    if parsed.userinfo or parsed.fragment:
        raise BadInput("Leave out a password and what follows a '#'; the signature says who sends.", field="url")
    if not (allow_private or _may_be_public(parsed.host)):
        raise BadInput(f"{parsed.host} is not on the public internet.", field="url")
    return str(parsed)


def _may_be_public(host: str) -> bool:
    with suppress(ValueError):
        return is_public(str(ip_address(host)))
    return True  # a name


def host_of(url: str) -> str:
    """What may be shown of an address to those who may not know all of it."""
    return httpx.URL(url).host
