"""Views that only read."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

View = Callable[[HttpRequest], HttpResponseBase]


def reads_only(view: View) -> View:
    """Answer GET and HEAD; any other method is 405. Nothing is changed, so CSRF protection has no say before that."""
    return csrf_exempt(require_safe(view))
