"""The endpoint `/graphql` over WebSocket: one conversation in graphql-transport-ws, as an ASGI application.

Operations of one socket are begun one after the other, each on a thread as those of HTTP are: what a client sends after a
subscription is run when that has started. Messages to the client go through an outbox at the pace at which it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.authentication import Access, authenticate
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Answer, Engine, GraphQLRequest
from dtq_site.api.handshake import is_origin_allowed
from dtq_site.api.hub import Hub, Subscription
from dtq_site.api.introduction import closing_for, sign_in
from dtq_site.api.live_query import LiveQuery
from dtq_site.api.options import ApiOptions
from dtq_site.api.outbox import Backlog, Outbox, Overflow
from dtq_site.api.protocol import (
    SUBPROTOCOL,
    Authenticate,
    CloseCode,
    Closing,
    Complete,
    Operation,
    Pong,
    Reply,
    Session,
    complete_message,
    error_message,
    json_text,
    next_message,
)
from dtq_site.api.sender import Sender
from dtq_site.api.sockets import Sockets, TooManyOperations, TooMuchToShow
from dtq_site.api.threads import RequestThreads
from dtq_site.foundation import tracing
from dtq_site.foundation.causes import ActingFor, RequestCause
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import Unauthenticated
from dtq_site.foundation.tracing import Description, Kind

WINDOW_BYTES = 1024 * 1024
"""How much a client may have to read; see `outbox.py`."""

_CLOSE_SECONDS = 5.0

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class SocketEndpoint:
    """What all sockets of the process share. As an ASGI application it holds one conversation each time it is called."""

    engine: Engine
    threads: RequestThreads
    hub: Hub
    sockets: Sockets
    options: ApiOptions
    allowed_origins: tuple[str, ...]
    address_of: Callable[[Scope], str]
    context_of: Callable[[Access, Scope], RequestContext]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the conversation."""
        await GraphQLSocket(self, scope, receive, send).run()


class GraphQLSocket:
    """One WebSocket."""

    def __init__(self, endpoint: SocketEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoint, self._scope, self._receive, self._send = endpoint, scope, receive, send
        self.access: Access | None = None
        self._token = ""
        self._address = endpoint.address_of(scope)
        self._headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        options = endpoint.options
        self._session = Session(
            opened_at=elapsed_clock(),
            init_seconds=options.socket_init_timeout.total_seconds(),
            max_bytes=options.socket_message_bytes,
            max_unsigned_bytes=options.max_unsigned_bytes,
        )
        own = Backlog(options.socket_backlog_bytes)
        self._outbox = Outbox(max_messages=options.socket_backlog, window_bytes=WINDOW_BYTES, backlog=own)
        self._sender = Sender(self._outbox, self._send_text)
        self._to_begin: asyncio.Queue[Operation] = asyncio.Queue()
        self._subscriptions: dict[Operation, Subscription] = {}
        self._main: asyncio.Task[Any] | None = None
        self._closing: Closing | None = None

    async def run(self) -> None:
        """Hold the conversation from the handshake to the end; leaves nothing behind."""
        await self._receive()  # websocket.connect
        allowed = is_origin_allowed(self._headers, self._endpoint.allowed_origins)
        # The handshake of one too many is refused without a reason: clients try again after that, and not after a close.
        if not allowed or not self._endpoint.sockets.let_in(self, self._address):
            await self._send({"type": "websocket.close"})
            return
        try:
            await self._hold()
        finally:
            self._outbox.clear()
            self._endpoint.sockets.discard(self)

    async def _hold(self) -> None:
        speaks = SUBPROTOCOL in self._scope["subprotocols"]
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if speaks else None})
        if not speaks:  # a refusal of the handshake would not tell the client why
            await self._send({"type": "websocket.close", "code": int(CloseCode.WRONG_SUBPROTOCOL)})
            return
        self._main = asyncio.current_task()
        helpers = [self._helper(self._sender.run()), self._helper(self._begin_all())]
        try:
            await self._converse()
        except Closing as closing:
            await self._close(closing)
        except asyncio.CancelledError:
            if self._closing is None:
                raise
            self._main.uncancel()
            await self._close(self._closing)
        finally:
            for helper in helpers:
                helper.cancel()
            for subscription in self._subscriptions.values():
                self._endpoint.hub.close(subscription)

    def hang_up(self, closing: Closing) -> None:
        """Have the socket closed; the first reason counts."""
        if self._closing is None and self._main is not None:
            self._closing = closing
            self._main.cancel()

    @property
    def subscription_count(self) -> int:
        """How many subscriptions live."""
        return len(self._subscriptions)

    @property
    def stalled_since(self) -> float | None:
        """Since when messages have waited without the client reading any."""
        return self._outbox.stalled_since

    def _helper(self, work: Any) -> asyncio.Task[None]:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._hang_up_for(error)

        helper = asyncio.ensure_future(work)
        helper.add_done_callback(ended)
        return helper

    def _hang_up_for(self, error: BaseException) -> None:
        self.hang_up(error if isinstance(error, Closing) else closing_for(error, self._endpoint.engine))

    async def _close(self, closing: Closing) -> None:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await self._send({"type": "websocket.close", "code": int(closing.code), "reason": closing.reason})

    # --- from the client -------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        while (event := await self._next_event())["type"] != "websocket.disconnect":
            command = self._session.take(event["text"] if event.get("text") is not None else event["bytes"])
            match command:
                case Authenticate():
                    await self._introduce(command.payload)
                case Reply():  # behind what is on its way already, or who reads nothing could pile up replies
                    self._post(None, command.text, subject=command)
                case Pong():
                    self._sender.pong()
                case Operation():
                    self._line_up(command)
                case Complete():
                    self._forget(command.operation)

    async def _next_event(self) -> Mapping[str, Any]:
        if not self._session.awaits_introduction:
            return await self._receive()
        try:
            return await asyncio.wait_for(self._receive(), max(self._session.init_deadline - elapsed_clock(), 0))
        except TimeoutError:
            self._session.check_time(self._session.init_deadline)
            raise

    async def _introduce(self, payload: Mapping[str, Any]) -> None:
        endpoint = self._endpoint
        try:
            self._token, self.access = await endpoint.threads.run(
                lambda: sign_in(payload, self._headers, self._address, endpoint.engine)
            )
        except Exception as error:
            raise closing_for(error, endpoint.engine) from None
        self._outbox.join(endpoint.sockets.admit(self, self.access))
        await self._send_text(self._session.acknowledge())

    def _line_up(self, operation: Operation) -> None:
        if self._session.living > self._endpoint.options.socket_operations:
            self._refuse(operation, self._endpoint.engine.refusal(TooManyOperations()))
        else:
            self._to_begin.put_nowait(operation)

    def _forget(self, operation: Operation | None) -> None:
        if operation is not None:
            self._outbox.drop(operation)
            subscription = self._subscriptions.pop(operation, None)
            if subscription is not None:
                self._endpoint.hub.close(subscription)

    # --- operations ------------------------------------------------------------------------------------------------

    async def _begin_all(self) -> None:
        while True:
            operation = await self._to_begin.get()
            if self._session.lives(operation):
                opened = await self._endpoint.threads.run(lambda operation=operation: self._open(operation))
                if self._session.lives(operation):
                    await self._answer(operation, opened)

    def _open(self, operation: Operation) -> Answer | LiveQuery:
        engine = self._endpoint.engine
        assert self.access is not None
        try:  # every operation asks anew who this is, as every request over HTTP does
            engine.refuse_exhausted(self.access.identity.user_id)
            context = self._endpoint.context_of(authenticate(self._token), self._scope)
        except Unauthenticated as error:
            raise closing_for(error, self._endpoint.engine) from None
        except Exception as error:
            return engine.refusal(error)
        with ActingFor(RequestCause(context.request_id)), tracing.span(self._span):
            return engine.open(GraphQLRequest(operation.query, operation.variables, operation.name), context)

    def _span(self) -> Description:
        """Of one operation, a trace of its own: one of the whole socket would go on for hours."""
        path = self._scope["path"]
        return Description(f"WEBSOCKET {path}", Kind.SERVER, {"network.protocol.name": "websocket", "url.path": path})

    async def _answer(self, operation: Operation, opened: Answer | LiveQuery) -> None:
        if isinstance(opened, LiveQuery):
            await self._follow(operation, opened)
        elif opened.refused is not None:
            self._refuse(operation, opened)
        else:
            self._deliver(operation, None, json_text(opened.body))
            self._finish(operation)

    async def _follow(self, operation: Operation, query: LiveQuery) -> None:
        if self._endpoint.sockets.follow_too_much(self):
            self._refuse(operation, self._endpoint.engine.refusal(TooManyOperations()))
            return
        subscription = Subscription(
            query,
            deliver=lambda subject, text: self._deliver(operation, subject, text),
            end=lambda: self._finish(operation),
            give_up=lambda: self._give_up(operation),
        )
        self._subscriptions[operation] = subscription
        await self._endpoint.hub.open(subscription)
        if not self._session.lives(operation):  # it was completed while it started
            self._endpoint.hub.close(subscription)

    def _give_up(self, operation: Operation) -> None:
        if self._session.lives(operation):
            self._subscriptions.pop(operation, None)
            self._refuse(operation, self._endpoint.engine.refusal(TooMuchToShow()))

    def _refuse(self, operation: Operation, answer: Answer) -> None:
        self._session.end(operation)
        self._post(operation, error_message(operation, answer.body["errors"]))

    def _deliver(self, operation: Operation, subject: Hashable, payload: str) -> None:
        if self._session.lives(operation):
            self._post(operation, next_message(operation, payload), subject)

    def _finish(self, operation: Operation) -> None:
        if self._session.lives(operation):
            self._session.end(operation)
            self._subscriptions.pop(operation, None)
            self._post(operation, complete_message(operation))

    # --- to the client ---------------------------------------------------------------------------------------------

    def _post(self, operation: Operation | None, text: str, subject: Hashable = None) -> None:
        try:
            self._sender.post(operation, text, subject=subject)
        except Overflow:
            self.hang_up(Closing(CloseCode.TOO_SLOW, "The client does not read as fast as it is sent to"))

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})
