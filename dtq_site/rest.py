"""How errors of the REST operations leave: in one form, with the codes, status codes and care of GraphQL over HTTP.

Settings name `answer_error` to the REST framework, which calls it for whatever a view raises, and `RatePerAddress`, which it asks
before any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from accounts.client_address import client_address
from dtq_site.api.errors import STATUS, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from dtq_site.foundation.errors import DTQError, RateLimited
from dtq_site.reporting import faults


class RatePerAddress(BaseThrottle):
    """Counts requests over REST with those to the API of somebody who has not signed in: nobody knows yet who sends them."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Let it pass, or raise RateLimited."""
        from dtq_site.endpoint import rate_limits  # needs the views, which need this module

        address = client_address(
            request.META.get("REMOTE_ADDR"),
            request.headers.get("X-Forwarded-For"),
            trusted_proxies=settings.DTQ_ACCOUNTS.trusted_proxies,
        )
        rate_limits.take_of_address(address)
        return True


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to a request that `error` ended. Never raises, so that nobody gets a page of Django's."""
    request, view = context["request"], context["view"]
    shown = faults.shown(_in_our_words(error, view.allowed_methods), "rest.failed", path=request.path)
    body = {"code": shown.code, "message": shown.message, "field": shown.field}
    if shown.code == DTQError.code:
        body["id"] = shown.details["id"]
    response = Response({"error": body}, status=STATUS.get(shown.code, 500))
    if isinstance(shown, RateLimited):
        response["Retry-After"] = math.ceil(shown.retry_after_seconds)
    return response


def _in_our_words(error: Exception, allowed_methods: list[str]) -> Exception:
    """The framework's own refusals as errors of ours; any other error as it is."""
    if isinstance(error, exceptions.MethodNotAllowed):
        return MethodNotAllowed(f"This address takes {' and '.join(allowed_methods)} only.")
    if isinstance(error, exceptions.UnsupportedMediaType):
        return UnsupportedMediaType()
    if isinstance(error, exceptions.NotAcceptable):
        return NotAcceptable("Accept application/json.")
    return error
