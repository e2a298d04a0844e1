"""Pages for people: the way in, and GraphiQL. Everything that they load comes from this server, and a policy says so."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dtq_site.reading import reads_only

# The one <style> element that GraphiQL adds: while a dialog is open, the page behind it does not scroll.
_SCROLL_LOCK = "sha256-Y/huXlwoYkVyQlxwSVcCi1RCDGDCSVBzDt0hYP9qlTc="
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' '{_SCROLL_LOCK}'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@reads_only
def home(request: HttpRequest) -> HttpResponse:
    """The page at `/`: where everything is."""
    return _page(request, "home.html")


def graphiql(request: HttpRequest) -> HttpResponse:
    """The GraphQL console, for browsers that open the endpoint."""
    return _page(request, "graphiql.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    response = render(request, template)
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response["Vary"] = "Accept"
    return response
