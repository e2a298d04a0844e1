"""The WebSocket endpoint of this process: its hub, with the sources that feed it, and its open sockets."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from prometheus_client import Gauge

from accounts.authentication import Access
from accounts.client_address import client_address
from dtq_site.api.context import RequestContext
from dtq_site.api.hub import Hub
from dtq_site.api.listener import Listener, Message
from dtq_site.api.sockets import Sockets
from dtq_site.api.websocket import Scope, SocketEndpoint
from dtq_site.endpoint import engine, threads
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from dtq_site.reporting import new_id
from tasks.news import QueueInterest, QueueSource, TaskInterest, TaskSource
from tasks.queue import keys
from tasks.queue.audience import BELIEVED_SECONDS
from tasks.queue.dispatch import redis_index
from workers.news import WorkerInterest, WorkerSource

_observer = Observer(log_events("dtq.live", {"live.interrupted": "warning", "sockets.unchecked": "warning"}))


async def _have_redis() -> None:
    """Start the embedded Redis, where that is configured."""
    await threads.run(redis_index)


def _listener(hear: Callable[[Message], None]) -> Listener:
    return Listener(
        keys.EVENTS_GROUP, hear, prepare=_have_redis, settle_seconds=2 * BELIEVED_SECONDS, observer=_observer
    )


def _address_of(scope: Scope) -> str:
    client = scope.get("client") or (None,)
    forwarded = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1")
    return client_address(client[0], forwarded, trusted_proxies=settings.DTQ_ACCOUNTS.trusted_proxies)


def _context_of(access: Access, scope: Scope) -> RequestContext:
    return RequestContext(
        identity=access.identity,
        session_id=access.session_id,
        address=_address_of(scope),
        request_id=new_id(),
        clock=database_clock,
        request=None,
    )


hub = Hub(
    {TaskInterest: TaskSource(), QueueInterest: QueueSource(), WorkerInterest: WorkerSource()},
    threads,
    _listener,
    _observer,
)
sockets = Sockets(threads, settings.DTQ_API, database_clock, _observer)
graphql_socket = SocketEndpoint(
    engine, threads, hub, sockets, settings.DTQ_API, settings.DTQ_SITE.allowed_origins, _address_of, _context_of
)

Gauge("dtq_subscriptions_open", "Subscriptions that this process feeds.").set_function(lambda: len(hub))
Gauge("dtq_sockets_open", "WebSockets to this process whose clients have signed in.").set_function(lambda: len(sockets))
