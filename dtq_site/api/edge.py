"""The endpoint over HTTP without Django's middleware, of which each part is a change of threads, and most are for pages.

What an API needs of it is done here, on the event loop: the host is checked, other origins are let in or not, requests are
counted, and the answers bear the headers of the settings. Pages still go Django's way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from functools import cache
from io import BytesIO
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import resolve
from django_prometheus.middleware import PrometheusAfterMiddleware, PrometheusBeforeMiddleware

from accounts.worker_tokens import PREFIX
from dtq_site.api.http import READING_METHODS, wants_page
from dtq_site.api.options import ApiOptions
from dtq_site.api.view import View
from dtq_site.foundation.errors import BadInput

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


_TOKEN = re.compile(rb"bearer +(?:[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}|%b[\w-]{20,}) *" % PREFIX.encode(), re.IGNORECASE)
"""What a header must look like for more of a body to be kept in memory than of a stranger's: who bears a forged one is refused
only when the body is there."""

UNWATCHED_SECONDS = 0.2
"""For so long nobody looks out for the departure of a client; most answers are there by then, and to watch costs a task each."""


class GraphQLEdge:
    """An ASGI application that answers with `view`, and lets `pages` answer browsers; `refuse` shapes an error."""

    def __init__(
        self,
        view: View,
        pages: Application,
        *,
        refuse: Callable[[HttpRequest, Exception], HttpResponse],
        options: ApiOptions,
    ) -> None:
        self._view, self._pages, self._refuse = view, pages, refuse
        self._options = options
        self._cors = CorsMiddleware(view)
        self._before, self._after = PrometheusBeforeMiddleware(view), PrometheusAfterMiddleware(view)
        self._finishing = (XFrameOptionsMiddleware(view), SecurityMiddleware(view))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] in READING_METHODS and wants_page(ASGIRequest(scope, BytesIO())):
            await self._pages(scope, receive, send)
            return
        bears_token = any(name == b"authorization" and _TOKEN.fullmatch(value) for name, value in scope["headers"])
        body = await _read_body(receive, self._options.request_bytes(signed_in=bears_token))
        if body is None:
            return
        response = await _unless_gone(self._counted(ASGIRequest(scope, BytesIO(body))), receive)
        if response is not None:
            await _send(response, send)

    async def _counted(self, request: HttpRequest) -> HttpResponse:
        request.resolver_match = _match(request.path_info)
        self._before.process_request(request)
        self._after.process_request(request)
        self._after.process_view(request, self._view)
        response = await self._answered(request)
        self._after.process_response(request, response)
        for each in self._finishing:
            response = each.process_response(request, response)
        return self._before.process_response(request, response)

    async def _answered(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            return self._refuse(request, BadInput("The header Host names no host of this installation."))
        response = self._cors.check_preflight(request)
        if response is None:
            try:
                response = await self._view(request)
            except Exception as error:
                response = self._refuse(request, error)
        return self._cors.add_response_headers(request, response)


@cache
def _match(path: str) -> Any:
    return resolve(path)


async def _read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The body, of which no more is read than shows that it is too large; None if the client has gone."""
    body = bytearray()
    while len(body) <= max_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body[: max_bytes + 1])


async def _unless_gone(answering: Coroutine[Any, Any, HttpResponse], receive: Receive) -> HttpResponse | None:
    """The answer; None, and the work on it is given up, if the client goes before it is there."""
    answer = asyncio.current_task()
    assert answer is not None
    watches: list[asyncio.Future[None]] = []
    timer = asyncio.get_running_loop().call_later(
        UNWATCHED_SECONDS, lambda: watches.append(asyncio.ensure_future(_cancel_at_departure(answer, receive)))
    )
    try:
        return await answering
    except asyncio.CancelledError:
        if any(watch.done() for watch in watches) and answer.uncancel() == 0:
            return None
        raise  # somebody else has ended it, such as a server that shuts down
    finally:
        timer.cancel()
        for watch in watches:
            watch.cancel()


async def _cancel_at_departure(answer: asyncio.Task[Any], receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the rest of a body that is too large
    answer.cancel()


async def _send(response: HttpResponse, send: Send) -> None:
    response["Content-Length"] = len(response.content)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
