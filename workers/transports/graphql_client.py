"""GraphQL over HTTP for those who may be cut off at any moment: every failure says whether asking again makes sense.

Unreachable            no answer, or none worth the name: the same request may be made again
└── NotDone            … and it cannot have been done: there was no connection, for instance
    └── TokenRefused   the server does not take the token (any more); it may be given a new one
ServerRefused          the server has understood and said no; asking again changes nothing
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from dtq_site.foundation import causes, strict_json, tracing
from dtq_site.foundation.errors import DTQError
from dtq_site.foundation.version import VERSION
from workers.transports.base import Unreachable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""How long the server may take to answer, beside the time for which it was asked to wait."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol)
_LATER = {"UNAVAILABLE", "RATE_LIMITED", "INTERNAL"}
_OPERATIONS = Path(__file__).parent / "operations"


class NotDone(Unreachable):
    """The request has not reached the server."""


class TokenRefused(NotDone):
    """The server does not take the token: it is wrong, has expired or was revoked; or there is none that can be read."""


class ServerRefused(DTQError):
    """The server refuses the request."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.code = code


@cache
def operation(name: str) -> str:
    """The text of an operation in the folder `operations`."""
    return (_OPERATIONS / f"{name}.graphql").read_text()


class GraphQLClient:
    """One endpoint and one token, or none. Thread-safe. A client is of one process: make it after the fork."""

    def __init__(
        self,
        url: str,
        token: Callable[[], str] | None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        connections: int | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._answer_seconds = answer_seconds
        limits = httpx.Limits(max_connections=connections)
        self._http = httpx.Client(limits=limits, headers={"User-Agent": f"dtq/{VERSION}", "Accept": _ACCEPTED})
        self._streams: dict[int, Any] = {}
        self._lock = threading.Lock()

    def ask(self, name: str, variables: Mapping[str, Any], *, waits_seconds: float = 0.0) -> dict[str, Any]:
        """The data that the operation of that name answers. Raises Unreachable or ServerRefused."""
        body = strict_json.compact({"query": operation(name), "variables": variables}).encode()
        timeout = httpx.Timeout(self._answer_seconds + waits_seconds, connect=CONNECT_SECONDS)
        headers = {**self._authorization(), "Content-Type": "application/json", **_origin()}
        try:
            response = self._http.post(
                self._url, content=body, headers=headers, timeout=timeout, extensions={"trace": self._note_stream}
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            kind = NotDone if isinstance(error, _NEVER_SENT) else Unreachable
            raise kind(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return _data_of(response)

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token()}".encode("ascii").decode()}
        except (OSError, UnicodeError) as error:
            raise TokenRefused(f"the token cannot be read: {error}") from error

    def interrupt(self) -> None:
        """End what other threads wait for: their requests fail as unreachable."""
        with self._lock:
            streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _note_stream(self, event: str, facts: Mapping[str, Any]) -> None:
        """Remember the newest connection, so that it can be interrupted: httpx has no other way to end a wait."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._streams[threading.get_ident()] = facts["return_value"]


def _origin() -> dict[str, str]:
    """What the request is made for, if that is a task that came from another one: its log lines and spans belong together."""
    known = {"X-Request-ID": causes.request_id(), "traceparent": tracing.traceparent()}
    return {name: value for name, value in known.items() if value is not None}


_ACCEPTED = "application/graphql-response+json, application/json;q=0.9"


def _data_of(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = strict_json.decode(response.content)
        errors, data = answer.get("errors"), answer.get("data")
    except (strict_json.NotJSON, AttributeError):
        errors = data = None
    if errors:
        _raise(errors[0])
    if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        raise ServerRefused("PAYLOAD_TOO_LARGE", "something on the way to the server takes no request of this size")
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise TokenRefused("the server answered 401")
    if not isinstance(data, dict):
        raise Unreachable(f"the server answered {response.status_code} and no GraphQL; is the address right?")
    return data


def _raise(error: Mapping[str, Any]) -> None:
    said = error.get("extensions") or {}
    code, message = str(said.get("code", "INTERNAL")), str(error.get("message", ""))
    if code == "UNAUTHENTICATED":
        raise TokenRefused(message)
    if code in _LATER:
        raise Unreachable(f"{code}: {message}")
    raise ServerRefused(code, message, said.get("field"))
