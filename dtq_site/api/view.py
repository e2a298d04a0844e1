"""The endpoint `/graphql` over HTTP: one hop to a thread, where the caller is identified and the operation is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from dtq_site.api.context import RequestContext
from dtq_site.api.engine import Engine, GraphQLRequest
from dtq_site.api.http import JSON_TYPE, answer_type, read_request, wants_page, write_answer
from dtq_site.api.threads import RequestThreads
from dtq_site.foundation.errors import DTQError

View = Callable[[HttpRequest], Awaitable[HttpResponse]]


def graphql_view(
    engine: Engine,
    threads: RequestThreads,
    *,
    context_of: Callable[[HttpRequest], RequestContext],
    page: Callable[[HttpRequest], HttpResponse],
    max_body_bytes: int,
) -> View:
    """Build the view. `context_of` runs on the request's thread and may raise; `page` answers browsers."""

    def execute(asked: GraphQLRequest, request: HttpRequest, media_type: str) -> HttpResponse:
        try:
            context = context_of(request)
            with structlog.contextvars.bound_contextvars(request_id=context.request_id):
                answer = engine.answer(asked, context, may_change=request.method == "POST")
                return write_answer(request, answer, media_type)
        except Exception as error:
            return write_answer(request, engine.refusal(error), media_type)

    @csrf_exempt
    async def graphql(request: HttpRequest) -> HttpResponse:
        if wants_page(request):
            return page(request)
        media_type = JSON_TYPE
        try:
            media_type = answer_type(request)
            asked = read_request(request, max_body_bytes)
        except DTQError as error:
            return write_answer(request, engine.refusal(error), media_type, was_read=False)
        return await threads.run(lambda: execute(asked, request, media_type))

    return graphql
