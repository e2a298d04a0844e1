"""Pages for people: the way in, and GraphiQL. Everything that they load comes from this server, and a policy says so."""

from __future__ import annotations

import secrets

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'nonce-{nonce}'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The page at `/`: where everything is."""
    return _page(request, "home.html")


def graphiql(request: HttpRequest) -> HttpResponse:
    """The GraphQL console, for browsers that open the endpoint."""
    return _page(request, "graphiql.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    response = render(request, template, {"nonce": nonce})
    response["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY.format(nonce=nonce)
    response["Vary"] = "Accept"
    return response
