"""How errors leave the API: every one with a stable code, ours with their message, all others masked.

    DTQError
    ├── MethodNotAllowed        the operation needs another HTTP method
    ├── NotAcceptable           the client takes no media type that we can write
    └── UnsupportedMediaType    the request is in a form that we do not read

They and QueryTooComplex (limits.py) stand beside the errors of `foundation/errors.py`. What is none of those is our
defect: the client gets an id, the log gets the same id with the trace.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from graphql import DocumentNode, GraphQLError, ValueNode

from dtq_site.api.blame import blamed_field
from dtq_site.foundation.database import is_lock_conflict, is_unavailable
from dtq_site.foundation.errors import BadInput, DTQError, Unavailable
from dtq_site.foundation.observer import Observer


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
    """Shapes errors for clients. Emits those that are our own fault as ``graphql.failed``, with a new id."""

    def __init__(self, observer: Observer, new_id: Callable[[], str]) -> None:
        self._observer = observer
        self._new_id = new_id

    def outside(self, error: Exception) -> dict[str, Any]:
        """Shape an error that happened outside the execution; it has no place in the document or in the answer."""
        return self._shaped(_shown(error), error, {})

    def inside(self, error: GraphQLError, document: DocumentNode | None) -> dict[str, Any]:
        """Shape an error of graphql-core: of the text, of validation, of the variables, or of one field's execution."""
        place = {key: value for key, value in error.formatted.items() if key in ("locations", "path")}
        if error.path is None or (error.nodes and isinstance(error.nodes[0], ValueNode)):
            field = blamed_field(document, error) if document else None
            return self._shaped(BadInput(error.message, field=field), error, place)
        cause = error.original_error or error
        return self._shaped(_shown(cause), cause, place)

    def _shaped(self, shown: DTQError | None, cause: Exception, place: dict[str, Any]) -> dict[str, Any]:
        if shown is None:
            return {"message": "Something went wrong on our side.", **place, "extensions": self._masked(cause, place)}
        field = {"field": shown.field} if shown.field else {}
        return {"message": shown.message, **place, "extensions": {"code": shown.code, **field, **shown.details}}

    def _masked(self, cause: Exception, place: dict[str, Any]) -> dict[str, Any]:
        error_id = self._new_id()
        trace = "".join(traceback.format_exception(cause))
        self._observer.emit("graphql.failed", id=error_id, path=place.get("path"), error=repr(cause), trace=trace)
        return {"code": DTQError.code, "id": error_id}


def _shown(error: Exception) -> DTQError | None:
    """The error as clients may see it, or None if it tells of a defect of ours."""
    if is_unavailable(error) or is_lock_conflict(error):
        return Unavailable()
    return error if isinstance(error, DTQError) and error.code != DTQError.code else None
