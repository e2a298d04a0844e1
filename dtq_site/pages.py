"""Pages for people: those for operators, behind a sign-in, and GraphiQL.

A page is a frame; what it shows, its scripts ask of the API as anybody would. So what an account may see and do is decided
there alone.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from dtq_site.page import page
from dtq_site.reading import View, reads_only
from dtq_site.sign_in import sign_in_page

# The one <style> element that GraphiQL adds: while a dialog is open, the page behind it does not scroll.
_SCROLL_LOCK = "'sha256-Y/huXlwoYkVyQlxwSVcCi1RCDGDCSVBzDt0hYP9qlTc='"


def _for_operators(template: str, about: str) -> View:
    """A page for whoever has signed in; anybody else gets the form in its place."""

    @never_cache
    @reads_only
    def show(request: HttpRequest, **about_what: UUID) -> HttpResponse:
        if not request.user.is_authenticated:
            return sign_in_page(request)
        return page(request, template, {"user": request.user, **about_what})

    show.__doc__ = about
    return show


home = _for_operators("overview.html", "`/`: is it healthy, what is stuck and why, what is there to press.")
tasks = _for_operators("tasks.html", "`/tasks`: the tasks, by filters that stand in the address.")
task = _for_operators("task.html", "`/tasks/<id>`: one task.")


def graphiql(request: HttpRequest) -> HttpResponse:
    """The GraphQL console, for browsers that open the endpoint."""
    response = page(request, "graphiql.html", style_sources=f"'self' {_SCROLL_LOCK}")
    response["Vary"] = "Accept"
    return response
