"""The endpoint without Django's middleware: what it keeps of it, what it reads, and what it leaves to Django."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django_prometheus.middleware import Metrics
from pytest_django import Settings

from dtq_site import endpoint
from dtq_site.api.edge import GraphQLEdge
from dtq_site.api.http import JSON_TYPE, write_answer
from dtq_site.api.options import ApiOptions
from dtq_site.api.threads import RequestThreads
from dtq_site.api.view import graphql_view
from tests.unit.api.small_schema import CONTEXT, changes, make_engine

LIMIT = 200
UNSIGNED_LIMIT = 100
OPTIONS = ApiOptions(max_request_bytes=LIMIT, max_unsigned_bytes=UNSIGNED_LIMIT)
APP = "https://app.example.com"
BROWSER = "text/html,*/*;q=0.8"


class Exchange:
    """One request through the edge: what was read of it, and the answer."""

    def __init__(
        self, method: str = "POST", query: str = "", chunks: tuple[bytes, ...] = (b"",), **headers: str
    ) -> None:
        self.chunks = list(chunks)
        self.read = 0
        self.leaves_after_seconds = 60.0
        self.messages: list[Mapping[str, Any]] = []
        named = {"host": "localhost", "content-type": "application/json", **headers}
        self.scope = {
            "type": "http",
            "method": method,
            "path": "/graphql",
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
            "client": ("192.0.2.1", 1),
            "server": ("localhost", 80),
        }

    async def receive(self) -> Mapping[str, Any]:
        if self.read == len(self.chunks):
            await asyncio.sleep(self.leaves_after_seconds)
            return {"type": "http.disconnect"}
        self.read += 1
        return {"type": "http.request", "body": self.chunks[self.read - 1], "more_body": self.read < len(self.chunks)}

    async def send(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


async def pages(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


async def broken(_request: HttpRequest) -> HttpResponse:
    raise KeyError("secret")


def make_edge(view: Any = None) -> GraphQLEdge:
    engine, _ = make_engine()
    usual = graphql_view(
        engine,
        RequestThreads(1),
        context_of=lambda _request: CONTEXT,
        page=lambda _: HttpResponse(),
        options=OPTIONS,
    )
    return GraphQLEdge(
        view or usual,
        pages,
        refuse=lambda request, error: write_answer(request, engine.refusal(error), JSON_TYPE, was_read=False),
        options=OPTIONS,
    )


def through_edge(exchange: Exchange, view: Any = None) -> Exchange:
    asyncio.run(make_edge(view)(exchange.scope, exchange.receive, exchange.send))
    return exchange


CHANGE = b'{"query": "mutation { change }"}'


def test_a_request_is_answered_whole():
    exchange = through_edge(Exchange(chunks=(CHANGE[:10], CHANGE[10:])))

    assert (exchange.status, exchange.body) == (200, b'{"data":{"change":1}}')
    assert exchange.headers["content-length"] == str(len(exchange.body))
    assert exchange.headers["content-type"] == JSON_TYPE


def test_the_headers_are_those_of_djangos_own_way():
    body = b'{"query": "{ __typename }"}'
    exchange = Exchange(chunks=(body,))

    asyncio.run(endpoint.edge_before(pages)(exchange.scope, exchange.receive, exchange.send))

    response = Client().post("/graphql", body, content_type="application/json")
    assert (exchange.status, exchange.body) == (response.status_code, response.content)
    assert exchange.headers == {name.lower(): value for name, value in response.items()}
    assert exchange.headers["x-frame-options"] == "DENY"
    assert exchange.headers["x-content-type-options"] == "nosniff"


def test_no_more_is_kept_of_a_body_than_shows_that_it_is_too_large_for_who_sends_it():
    seen = []

    async def measuring(request: HttpRequest) -> HttpResponse:
        seen.append(len(request.read()))
        return HttpResponse()

    chunks = (CHANGE.ljust(150), b" " * 51, b" " * 1000)
    tokens = [".".join(["x" * 43] * 3), "dtqw_" + "x" * 43]
    for header in [f"Bearer {tokens[0]}", f"bearer {tokens[1]}", "x", "Bearer any", f"Basic {tokens[0]}", tokens[1]]:
        through_edge(Exchange(chunks=chunks, authorization=header), measuring)
    through_edge(Exchange(chunks=chunks), measuring)

    assert seen == [LIMIT + 1] * 2 + [UNSIGNED_LIMIT + 1] * 5
    assert through_edge(Exchange(chunks=chunks)).status == 413
    assert changes == []


def test_a_client_that_goes_before_its_request_is_whole_changes_nothing():
    exchange = Exchange(chunks=(CHANGE, b""))
    exchange.chunks.pop()
    exchange.receive = lambda: _gone(exchange)  # type: ignore[method-assign]

    through_edge(exchange)

    assert (exchange.messages, changes) == ([], [])


async def _gone(exchange: Exchange) -> Mapping[str, Any]:
    exchange.read += 1
    first = {"type": "http.request", "body": CHANGE, "more_body": True}
    return first if exchange.read == 1 else {"type": "http.disconnect"}


def test_a_client_that_goes_while_it_waits_ends_the_wait():
    ended = []

    async def waiting(_request: HttpRequest) -> HttpResponse:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return HttpResponse()

    exchange = Exchange(chunks=(CHANGE,))
    exchange.leaves_after_seconds = 0.01

    assert through_edge(exchange, waiting).messages == []
    assert ended == [True]


def test_a_request_that_the_server_ends_is_ended_as_that_says():
    exchange, ended = Exchange(chunks=(CHANGE,)), []

    async def waiting(_request: HttpRequest) -> HttpResponse:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return HttpResponse()

    async def ended_by_the_server() -> None:
        request = asyncio.create_task(make_edge(waiting)(exchange.scope, exchange.receive, exchange.send))
        await asyncio.sleep(0.01)
        request.cancel()
        await request

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ended_by_the_server())
    assert (exchange.messages, ended) == ([], [True])


def test_a_browser_is_left_to_django():
    assert through_edge(Exchange("GET", accept=BROWSER)).body == b"the page"


def test_a_browser_with_a_query_is_answered():
    exchange = through_edge(Exchange("GET", "query={__typename}", accept=BROWSER))

    assert exchange.body == b'{"data":{"__typename":"Query"}}'


def test_a_host_that_is_not_ours_is_refused(settings: Settings):
    settings.ALLOWED_HOSTS = ["dtq.example.com"]

    exchange = through_edge(Exchange(chunks=(CHANGE,)))

    assert exchange.status == 400
    assert json.loads(exchange.body)["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert changes == []


def test_an_origin_of_the_settings_is_let_in_and_no_other(settings: Settings):
    settings.CORS_ALLOWED_ORIGINS = [APP]

    preflight = through_edge(Exchange("OPTIONS", origin=APP, access_control_request_method="POST"))
    answer = through_edge(Exchange(chunks=(CHANGE,), origin=APP))
    elsewhere = through_edge(Exchange(chunks=(CHANGE,), origin="https://evil.example.com"))

    assert preflight.status == 200
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-origin" not in elsewhere.headers


def test_a_defect_in_the_view_is_masked():
    exchange = through_edge(Exchange(chunks=(CHANGE,)), broken)

    assert exchange.status == 500
    assert json.loads(exchange.body)["errors"][0]["extensions"] == {"code": "INTERNAL", "id": "error-id"}
    assert b"secret" not in exchange.body


def test_requests_are_counted_under_the_name_of_the_address():
    metric = Metrics.get_instance().requests_by_view_transport_method
    labels = {"method": "POST", "transport": "http", "view": "graphql"}

    def counted() -> float:
        samples = [sample for family in metric.collect() for sample in family.samples if sample.labels == labels]
        return sum(sample.value for sample in samples if sample.name.endswith("_total"))

    before = counted()
    through_edge(Exchange(chunks=(CHANGE,)))

    assert counted() == before + 1
