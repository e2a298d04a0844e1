"""Where a request comes from, as far as that can be trusted: pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

UNKNOWN = "unknown"


def client_address(remote_address: str | None, forwarded_for: str | None, trusted_proxies: int) -> str:
    """The address of the client, or "unknown" (a Unix socket has none).

    Each proxy appends to X-Forwarded-For the address that called it, so only the last `trusted_proxies` entries are
    true, and the first of those is the client; what stands left of it the client may have invented. Fewer entries than
    proxies mean that the request came past one of them; then the leftmost counts.
    """
    chain = [part for part in (forwarded_for or "").split(",") if part.strip()]
    told = chain[-min(trusted_proxies, len(chain))] if trusted_proxies and chain else None
    address = _parsed(told) or _parsed(remote_address)
    return str(address) if address else UNKNOWN


def address_block(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network that a client of IPv6 usually has to itself."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed or UNKNOWN)


def _parsed(text: str | None) -> IPv4Address | IPv6Address | None:
    """The address in `text`, which may carry a port: ``192.0.2.1:80``, ``[2001:db8::1]:80``."""
    text = (text or "").strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
