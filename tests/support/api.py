"""Asking the project's own GraphQL schema, on the test's thread and in its transaction."""

from __future__ import annotations

from typing import Any

from accounts.identity import Identity
from dtq_site.api.context import RequestContext
from dtq_site.api.engine import GraphQLRequest
from dtq_site.endpoint import engine
from dtq_site.foundation.database import database_clock


def ask(query: str, *, identity: Identity | None = None, **variables: Any) -> dict[str, Any]:
    """The body of the answer that `identity` would get, through everything but HTTP and tokens."""
    context = RequestContext(identity, None, "192.0.2.1", "test", database_clock, None)
    return engine.answer(GraphQLRequest(query, variables), context).body
