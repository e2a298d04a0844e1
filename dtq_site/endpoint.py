"""The GraphQL endpoint of this process: its schema, its threads, and where its errors go."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from dtq_site.api.context import Doorkeeper, RequestContext, context_of
from dtq_site.api.costs import declare_prices
from dtq_site.api.edge import Application, GraphQLEdge
from dtq_site.api.engine import Engine
from dtq_site.api.errors import ErrorReporter
from dtq_site.api.http import JSON_TYPE, write_answer
from dtq_site.api.rate_limits import RateLimits
from dtq_site.api.threads import RequestThreads
from dtq_site.api.view import graphql_view
from dtq_site.foundation import causes
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.redis_clients import redis_client
from dtq_site.pages import graphiql
from dtq_site.prices import PRICES
from dtq_site.reporting import faults, new_id
from dtq_site.schema import schema
from dtq_site.waiting import make_room


def _context_of(request: HttpRequest) -> RequestContext:
    return context_of(
        request,
        request_id=causes.request_id() or new_id(),
        clock=database_clock,
        trusted_proxies=settings.DTQ_ACCOUNTS.trusted_proxies,
        doorkeeper=Doorkeeper(admit=engine.refuse_exhausted, refuse=engine.count_refused),
    )


RATE_TIMEOUT_SECONDS = 0.05

declare_prices(schema.graphql_schema, PRICES)
threads = RequestThreads(settings.DTQ_API.threads)
rate_limits = RateLimits(
    redis_client(settings.REDIS_URL, timeout_seconds=RATE_TIMEOUT_SECONDS),
    rate=settings.DTQ_API.rate,
    burst=settings.DTQ_API.burst,
)
engine = Engine(schema.graphql_schema, settings.DTQ_API, ErrorReporter(faults), rate_limits)
room = make_room(threads)
graphql = graphql_view(engine, threads, context_of=_context_of, page=graphiql, options=settings.DTQ_API, room=room)


def edge_before(pages: Application) -> GraphQLEdge:
    """The endpoint as an ASGI application; what browsers open there is answered by `pages`."""
    return GraphQLEdge(graphql, pages, refuse=_refuse, options=settings.DTQ_API)


def _refuse(request: HttpRequest, error: Exception) -> HttpResponse:
    return write_answer(request, engine.refusal(error), JSON_TYPE, was_read=False)
