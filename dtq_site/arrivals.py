"""Every HTTP request at its arrival: it gets an id, which its answer, its lines in the log and the tasks that it makes bear.

A proxy or a client may have given it one; an id that could be mistaken for something else is replaced.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from dtq_site.api.edge import Application, Message, Receive, Send
from dtq_site.foundation import tracing
from dtq_site.foundation.causes import ActingFor, RequestCause
from dtq_site.foundation.tracing import Description, Kind
from dtq_site.reporting import new_id

HEADER = "X-Request-ID"
_NAME = HEADER.lower().encode()
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ENDPOINT = "/graphql"
_UNTRACED_PATHS = ("/health", "/metrics", "/static/")


def identified(application: Application) -> Application:
    """The same application, each of whose requests has an id."""

    async def arrive(scope: Message, receive: Receive, send: Send) -> None:
        request_id = _header(scope, _NAME, _SANE) or new_id()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (_NAME, request_id.encode())]}
                _note(span, message["status"])
            await send(message)

        with ActingFor(RequestCause(request_id)), _span_of(scope) as span:
            await application(scope, receive, answer)

    return arrive


def _header(scope: Message, name: bytes, pattern: re.Pattern[bytes]) -> str | None:
    """A header of the request, if it looks as it should."""
    values = (value for key, value in scope["headers"] if key == name and pattern.fullmatch(value))
    value = next(values, None)
    return None if value is None else value.decode()


# --- spans ---------------------------------------------------------------------------------------------------------


def _span_of(scope: Message) -> AbstractContextManager[tracing.Span]:
    """The span of a request, by OpenTelemetry's conventions for HTTP; those that only look after the process have none."""
    if scope["path"].startswith(_UNTRACED_PATHS):
        return tracing.UNTRACED
    return tracing.span(lambda: _describe(scope))


def _describe(scope: Message) -> Description:
    method, path = scope["method"], scope["path"]
    attributes = {"http.request.method": method, "url.path": path, "url.scheme": scope.get("scheme", "http")}
    if path.rstrip("/") == _ENDPOINT:
        attributes["http.route"] = _ENDPOINT
        method = f"{method} {_ENDPOINT}"
    return Description(method, Kind.SERVER, attributes, _header(scope, b"traceparent", _TRACEPARENT))


def _note(span: tracing.Span, status: int) -> None:
    span.note({"http.response.status_code": status})
    if status >= 500:
        span.fail(str(status))
