"""One HTTP request as a task does it: redirects by hand, an answer of bounded size, and what its status means.

Raises Discard for what another attempt would not mend (a bad request, an address that is refused, most 4xx) and Retry
for what it may (no connection, 408, 425, 429, 5xx), after the time that Retry-After asks for, up to an hour.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from dtq_site.foundation import strict_json
from tasks.handling.errors import Discard, Retry
from tasks.http_guard import AddressRefused

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_REDIRECTS = 5
KEPT_BYTES = 64 * 1024
LONGEST_RETRY_AFTER_SECONDS = 3600

_MAY_PASS = {408, 425, 429}
_SET_BY_US = {"host", "content-length", "transfer-encoding", "connection"}
_SENT_TO_OTHER_ORIGINS = {
    *_SET_BY_US,
    *("accept", "accept-encoding", "accept-language", "content-type", "user-agent"),
}
_DEFAULT_HEADERS = {"User-Agent": "DTQ", "Accept-Encoding": "identity"}


def exchange(
    transport: httpx.BaseTransport,
    *,
    method: str,
    url: str,
    headers: dict[str, str],
    content: Any,
    checkpoint: Callable[[], None],
    now: datetime,
    max_result_bytes: int,
) -> dict[str, Any]:
    """Send the request and describe the answer: status, url, headers, and `json` or `body`.

    A `content` that is not None goes as JSON. `checkpoint` is called between the parts of the answer's body.
    """
    with client_of(transport) as client:
        request = _built(client, method, url, headers, content)
        try:
            response = _followed(client, request)
            try:
                body, truncated = beginning(response, checkpoint)
            finally:
                response.close()
        except AddressRefused as error:
            raise Discard(f"{_shown(request.url)} may not be called: {error}.") from None
        except httpx.LocalProtocolError as error:
            raise Discard(f"{method} {_shown(request.url)} cannot be sent: {error}.") from None
        except httpx.TransportError as error:
            raise Retry(reason=f"{method} {_shown(request.url)} failed: {error}.") from error
    _judge(response, body, now)
    return _described(response, body, truncated, max_result_bytes)


def client_of(transport: httpx.BaseTransport) -> httpx.Client:
    """A client that follows no redirect by itself and heeds no proxy; its transport bounds how long all takes."""
    return httpx.Client(transport=transport, trust_env=False, timeout=None, headers=_DEFAULT_HEADERS)


def _built(client: httpx.Client, method: str, url: str, headers: dict[str, str], content: Any) -> httpx.Request:
    if method not in METHODS:
        raise Discard(f"{method!r} is no method: use one of {', '.join(METHODS)}.")
    ours = sorted(_SET_BY_US.intersection(name.lower() for name in headers))
    if ours:
        raise Discard(f"The headers {', '.join(ours)} follow from the request; leave them out.")
    try:
        _check_address(httpx.URL(url))
        return client.build_request(method, url, headers=headers, json=content)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise Discard(f"{method} {url!r:.200} cannot be sent: {error}.") from None


def _followed(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """The answer at the end of the redirects, its body unread. Each hop meets the same checks as the first."""
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        if response.next_request is None:
            return response
        response.close()
        request = _next_hop(request.url, response.next_request)
    raise Discard(
        f"{_shown(request.url)} is redirect number {MAX_REDIRECTS + 1}; at most {MAX_REDIRECTS} are followed."
    )


def _check_address(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise Discard(f"{_shown(url)!r} cannot be called: the address must begin with http:// or https:// and a host.")
    if url.port is not None and not 0 < url.port < 65536:  # the system would take it modulo 65,536
        raise Discard(f"{_shown(url)!r} cannot be called: there is no port {url.port}.")


def _next_hop(origin: httpx.URL, request: httpx.Request) -> httpx.Request:
    """The redirected request, without the caller's headers on another origin: any of them may be a secret."""
    target = request.url
    _check_address(target)
    if origin.scheme == "https" and target.scheme == "http":
        raise Discard(f"{_shown(origin)} redirects to {_shown(target)}, which is not encrypted.")
    if (origin.scheme, origin.host, origin.port) != (target.scheme, target.host, target.port):
        for name in set(request.headers) - _SENT_TO_OTHER_ORIGINS:
            del request.headers[name]
    return request


def beginning(response: httpx.Response, checkpoint: Callable[[], None]) -> tuple[bytes, bool]:
    """The first bytes of the body as they came, and whether there were more."""
    kept = bytearray()
    for part in response.iter_raw():
        checkpoint()
        kept += part
        if len(kept) > KEPT_BYTES:
            break
    return bytes(kept[:KEPT_BYTES]), len(kept) > KEPT_BYTES


def _judge(response: httpx.Response, body: bytes, now: datetime) -> None:
    status = response.status_code
    if status < 400:
        return
    reason = f"{response.request.method} {_shown(response.url)} answered {status} {response.reason_phrase}".rstrip()
    said = excerpt(body)
    reason += f": {said}" if said else "."
    if status in _MAY_PASS or status >= 500:
        raise Retry(retry_after_seconds(response, now), reason)
    raise Discard(reason)


def excerpt(body: bytes) -> str:
    """What an answer says, in one line."""
    return " ".join(body[:1000].decode(errors="replace").split())[:200]


def retry_after_seconds(response: httpx.Response, now: datetime) -> float | None:
    """What Retry-After asks for, seconds or a date, within bounds; None where it says nothing that can be read."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _described(response: httpx.Response, body: bytes, truncated: bool, max_result_bytes: int) -> dict[str, Any]:
    """The answer as the task's result. Cookies are left out: they are credentials, and the whole team reads results."""
    facts = {"status": response.status_code, "url": str(response.url.copy_with(userinfo=b""))}
    headers = {name: value for name, value in response.headers.items() if name != "set-cookie"}
    result = {**facts, "headers": headers, **_content(response, body, truncated), "truncated": truncated}
    try:
        strict_json.encode(result, max_bytes=max_result_bytes)
    except strict_json.TooLarge:
        return {**facts, "headers": {}, "body": None, "truncated": True}
    return result


def _content(response: httpx.Response, body: bytes, truncated: bool) -> dict[str, Any]:
    """`json` where the body is JSON that can be stored, else `body` as text."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return {"body": None}  # compressed though we asked for plain text; unpacking it could fill the memory
    if "json" in response.headers.get("content-type", "").lower() and not truncated:
        try:
            content = {"json": json.loads(body)}
            strict_json.encode(content)
            return content
        except (ValueError, RecursionError):
            pass
    return {"body": _text(body, response.charset_encoding or "utf-8")}


def _text(body: bytes, charset: str) -> str:
    try:
        text = body.decode(charset, errors="replace")
    except (LookupError, UnicodeError):  # the other side named no charset that there is
        text = body.decode(errors="replace")
    return text.encode(errors="replace").decode()  # some charsets can spell half of a surrogate pair


def _shown(url: httpx.URL) -> str:
    """The address for messages: no password, and no query, which may hold a key."""
    without_password = url.copy_with(userinfo=b"") if url.userinfo else url
    return str(without_password).partition("?")[0].partition("#")[0]
