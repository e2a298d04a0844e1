"""The endpoint `/graphql` over HTTP: one hop to a thread, where the caller is identified, the body read and the operation run.

How much is read of a body depends on who sends it, so nothing is made of it before.

A field that has nothing to show yet may wait in the waiting room; each time that it is asked again the caller is identified
again, so that nothing is shown to whom it may not be shown any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from dtq_site.api.context import Postponed, RequestContext
from dtq_site.api.engine import Answer, Engine, GraphQLRequest
from dtq_site.api.http import JSON_TYPE, answer_type, read_request, wants_page, write_answer
from dtq_site.api.options import ApiOptions
from dtq_site.api.threads import RequestThreads
from dtq_site.api.waiting import WaitingRoom
from dtq_site.foundation.causes import ActingFor, RequestCause
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import DTQError

View = Callable[[HttpRequest], Awaitable[HttpResponse]]


class _Answered(NamedTuple):
    asked_at: float
    asked: GraphQLRequest | None
    answer: Answer
    response: HttpResponse


def graphql_view(
    engine: Engine,
    threads: RequestThreads,
    *,
    context_of: Callable[[HttpRequest], RequestContext],
    page: Callable[[HttpRequest], HttpResponse],
    options: ApiOptions,
    room: WaitingRoom | None = None,
) -> View:
    """Build the view. `context_of` runs on the request's thread and may raise; `page` answers browsers.

    Without a `room` nobody waits.
    """

    def read(request: HttpRequest, context: RequestContext) -> GraphQLRequest:
        try:
            return read_request(request, options.request_bytes(signed_in=context.identity is not None))
        except DTQError:
            engine.count(context)
            raise

    def execute(request: HttpRequest, media_type: str, first: _Answered | None = None) -> _Answered:
        asked_at, asked = elapsed_clock(), first and first.asked
        try:
            context = context_of(request)
            with ActingFor(RequestCause(context.request_id)):
                if first is None:
                    asked = read(request, context)
                    answer = engine.answer(asked, context, may_change=request.method == "POST")
                else:
                    waited = replace(context, waited_seconds=asked_at - first.asked_at)
                    answer = engine.ask_again(first.asked, first.answer, waited)
                return _Answered(asked_at, asked, answer, write_answer(request, answer, media_type))
        except Exception as error:
            refusal = engine.refusal(error)
            response = write_answer(request, refusal, media_type, was_read=asked is not None)
            return _Answered(asked_at, asked, refusal, response)

    @csrf_exempt
    async def graphql(request: HttpRequest) -> HttpResponse:
        if wants_page(request):
            return page(request)
        try:
            media_type = answer_type(request)
        except DTQError as error:
            return write_answer(request, engine.refusal(error), JSON_TYPE, was_read=False)
        first = await threads.run(lambda: execute(request, media_type))
        if room is None or first.answer.postponed is None:
            return first.response
        return await _wait(
            room, first, first.answer.postponed, lambda: threads.run(lambda: execute(request, media_type, first))
        )

    return graphql


async def _wait(
    room: WaitingRoom, first: _Answered, postponed: Postponed, ask_again: Callable[[], Awaitable[_Answered]]
) -> HttpResponse:
    """Ask the field again whenever its wish may have come true, until it shows something or the time is over.

    Whoever hangs up ends it by cancelling the request: what it would show then would be lost.
    """
    ends_at, in_vain = elapsed_clock() + postponed.seconds, 0
    while await room.wait(postponed.wish, ends_at - elapsed_clock()):
        async with room.turn:
            again = await ask_again()
        if again.answer.postponed is None:
            return again.response
        in_vain += 1
        await room.pause(in_vain, ends_at - elapsed_clock())
    return first.response
