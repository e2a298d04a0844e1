"""Requests to a view over the small schema, and what it answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory

from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Engine
from dtq_site.api.options import ApiOptions
from dtq_site.api.threads import RequestThreads
from dtq_site.api.view import graphql_view
from tests.unit.api.small_schema import CONTEXT, make_engine

LIMIT = 1000
OPTIONS = ApiOptions(max_request_bytes=LIMIT)
make = AsyncRequestFactory()


def send(
    request: HttpRequest,
    context: RequestContext | Exception = CONTEXT,
    *,
    options: ApiOptions = OPTIONS,
    engine: Engine | None = None,
) -> HttpResponse:
    """What is answered to the request of this caller, or of one whom this error keeps out."""

    def context_of(_request: HttpRequest) -> RequestContext:
        if isinstance(context, Exception):
            raise context
        return context

    view = graphql_view(
        engine or make_engine()[0],
        RequestThreads(1),
        context_of=context_of,
        page=lambda _request: HttpResponse("the page"),
        options=options,
    )
    return asyncio.run(view(request))


def post(content: Any, **headers: str) -> HttpRequest:
    """A request with this body."""
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    return make.post("/graphql", body, content_type=headers.pop("content_type", "application/json"), headers=headers)


def get(accept: str | None = None, **parameters: str) -> HttpRequest:
    """A request without one."""
    return make.get("/graphql", parameters, headers={"Accept": accept} if accept else {})


def code_of(response: HttpResponse) -> str:
    """The code of the first error."""
    return json.loads(response.content)["errors"][0]["extensions"]["code"]
