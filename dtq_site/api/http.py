"""GraphQL over HTTP, apart from running anything: reading requests, writing answers, media types, status codes.

Follows the GraphQL-over-HTTP draft (graphql.github.io/graphql-over-http). Only `application/json` is read, which no HTML
form of another site can send, so the endpoint needs no CSRF token.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse

from dtq_site.api.engine import Answer, GraphQLRequest
from dtq_site.api.errors import STATUS, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from dtq_site.foundation import strict_json
from dtq_site.foundation.errors import BadInput, PayloadTooLarge

JSON_TYPE = "application/json; charset=utf-8"
GRAPHQL_TYPE = "application/graphql-response+json; charset=utf-8"
READING_METHODS = ("GET", "HEAD")

_DOCUMENT_IS_WRONG = {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}
_MEANT = {dict: "an object", str: "text"}


def wants_page(request: HttpRequest) -> bool:
    """Whether a browser's address bar asks, and not a program with a query."""
    return (
        request.method in READING_METHODS
        and "query" not in request.GET
        and request.get_preferred_type([JSON_TYPE, GRAPHQL_TYPE, "text/html"]) == "text/html"
    )


def answer_type(request: HttpRequest) -> str:
    """The media type of the answer; raises NotAcceptable. `application/json` is for those who do not say."""
    chosen = _preferred(request.headers.get("Accept", "*/*"))
    if chosen is None:
        raise NotAcceptable
    return chosen


@lru_cache(maxsize=256)
def _preferred(accept: str) -> str | None:
    """Django's choice for that header; to read the header takes it longer than to read the request."""
    asking = HttpRequest()
    asking.META["HTTP_ACCEPT"] = accept
    return asking.get_preferred_type([JSON_TYPE, GRAPHQL_TYPE])


def read_request(request: HttpRequest, max_body_bytes: int) -> GraphQLRequest:
    """The operation that `request` asks for; raises the DTQError that says what is wrong with it."""
    if request.method == "POST":
        return _graphql_request(_read_body(request, max_body_bytes))
    if request.method in READING_METHODS:
        return _graphql_request(_read_parameters(request))
    raise MethodNotAllowed("Send a GraphQL request with POST, or a query with GET.")


def _read_body(request: HttpRequest, max_bytes: int) -> Mapping[str, Any]:
    charset = request.content_params.get("charset", "utf-8")
    if request.content_type != "application/json" or charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType
    body = request.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise PayloadTooLarge(
            f"The request is larger than {max_bytes:,} bytes; send less at once, and sign in before if you have not."
        )
    content = _parse_json(body, "The request's body")
    if not isinstance(content, dict):
        raise BadInput("Send one JSON object with the key 'query'; several requests in one list are not supported.")
    return content


def _read_parameters(request: HttpRequest) -> Mapping[str, Any]:
    content: dict[str, Any] = request.GET.dict()
    for name in ("variables", "extensions"):
        if name in content:
            content[name] = _parse_json(content[name], f"The parameter '{name}'") if content[name] else None
    return content


def _parse_json(text: str | bytes, what: str) -> Any:
    try:
        return strict_json.decode(text)
    except strict_json.NotJSON as error:
        raise BadInput(f"{what} is not valid JSON: {error}.") from None


def _graphql_request(content: Mapping[str, Any]) -> GraphQLRequest:
    query = content.get("query")
    if not isinstance(query, str) or not query:
        raise BadInput("The key 'query' must hold the text of a GraphQL document.", field="query")
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
        if not isinstance(content.get(name), kind | None):
            raise BadInput(f"The key '{name}' must hold {_MEANT[kind]}.", field=name)
    return GraphQLRequest(query, content.get("variables") or {}, content.get("operationName") or None)


def write_answer(request: HttpRequest, answer: Answer, media_type: str, *, was_read: bool = True) -> HttpResponse:
    """The HTTP response that carries `answer`; `was_read` is False if `request` was no GraphQL request at all."""
    text = json.dumps(answer.body, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, echoed from a client's value, has no UTF-8; backslashreplace writes it as JSON's escape.
    response = HttpResponse(text.encode(errors="backslashreplace"), content_type=media_type)
    response.status_code = _status(answer, media_type, was_read)
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Accept, Authorization"
    if response.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"
    if response.status_code == 429:
        response["Retry-After"] = math.ceil(answer.body["errors"][0]["extensions"]["retryAfter"])
    if response.status_code == 405:
        response["Allow"] = "POST" if request.method in READING_METHODS else "GET, HEAD, POST"
    return response


def _status(answer: Answer, media_type: str, was_read: bool) -> int:
    if answer.refused is None:
        return 200
    # Clients of application/json take 200 for "here is a GraphQL answer", and expect it for a wrong document as well.
    if was_read and media_type == JSON_TYPE and answer.refused in _DOCUMENT_IS_WRONG:
        return 200
    return STATUS.get(answer.refused, 500)
