"""How errors leave the API: every one with a stable code, ours with their message, all others masked.

    DTQError
    ├── MethodNotAllowed        the operation needs another HTTP method
    ├── NotAcceptable           the client takes no media type that we can write
    └── UnsupportedMediaType    the request is in a form that we do not read

They and QueryTooComplex (limits.py) stand beside the errors of `foundation/errors.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import DocumentNode, GraphQLError, ValueNode

from dtq_site.api.blame import Blame
from dtq_site.api.quoting import discreet_message
from dtq_site.foundation.errors import BadInput, DTQError
from dtq_site.foundation.faults import Faults

STATUS = {
    "BAD_USER_INPUT": 400,
    "QUERY_TOO_COMPLEX": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
"""The HTTP status code of a request that was refused with an error of that code."""


class MethodNotAllowed(DTQError):
    """This HTTP method is not allowed here."""

    code = "METHOD_NOT_ALLOWED"


class NotAcceptable(DTQError):
    """Accept application/graphql-response+json or application/json."""

    code = "NOT_ACCEPTABLE"


class UnsupportedMediaType(DTQError):
    """Send the request as application/json in UTF-8."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class ErrorReporter:
    """Shapes errors for clients of GraphQL. Those that are our own fault are emitted as ``graphql.failed``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def outside(self, error: Exception) -> dict[str, Any]:
        """Shape an error that happened outside the execution; it has no place in the document or in the answer."""
        return _shaped(self._faults.shown(error, "graphql.failed", path=None), {})

    def inside(self, errors: Iterable[GraphQLError], document: DocumentNode | None) -> list[dict[str, Any]]:
        """Shape errors of graphql-core: of the text, of validation, of the variables, or of a field's execution."""
        blame = Blame(document) if document else None
        return [self._inside(error, blame) for error in errors]

    def _inside(self, error: GraphQLError, blame: Blame | None) -> dict[str, Any]:
        place = {key: value for key, value in error.formatted.items() if key in ("locations", "path")}
        if error.path is None or (error.nodes and isinstance(error.nodes[0], ValueNode)):
            field = blame.field_of(error) if blame else None
            return _shaped(BadInput(discreet_message(error, field), field=field), place)
        cause = error.original_error or error
        return _shaped(self._faults.shown(cause, "graphql.failed", path=place.get("path")), place)


def _shaped(shown: DTQError, place: dict[str, Any]) -> dict[str, Any]:
    field = {"field": shown.field} if shown.field else {}
    return {"message": shown.message, **place, "extensions": {"code": shown.code, **field, **shown.details}}
