"""What all pages for people have in common: nothing that they load comes from elsewhere, and a policy says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, *, style_sources: str = "'self'"
) -> HttpResponse:
    """The template, under the policy."""
    return under_policy(render(request, template, context), style_sources)


def under_policy(response: HttpResponse, style_sources: str = "'self'") -> HttpResponse:
    """The response, with the Content-Security-Policy of a page with these sources of styles."""
    response["Content-Security-Policy"] = "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src {style_sources}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
    return response
