"""The errors that DTQ shows to people and programs.

    DTQError
    ├── BadInput           the request is wrong; names the field and the remedy
    │   └── PayloadTooLarge
    ├── Unauthenticated    nobody, or nobody any more
    ├── Forbidden          somebody, but not allowed
    ├── NotFound           no such thing, or none that the caller may see
    ├── Conflict           the thing is in a state that does not allow this
    ├── RateLimited        too many requests; says when to come back
    └── Unavailable        a server that is needed does not answer; safe to repeat with the same idempotency key

An error's docstring is its default message. `code` is stable: programs may rely on it.
"""

from __future__ import annotations

from typing import Any


class DTQError(Exception):
    """Something went wrong inside DTQ."""

    code = "INTERNAL"

    def __init__(self, message: str | None = None, *, field: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.field = field
        self.details = details
        super().__init__(self.message)


class BadInput(DTQError):
    """The request has a value that is not allowed."""

    code = "BAD_USER_INPUT"

    def within(self, parent: str) -> BadInput:
        """Return the same error with its field named from `parent` on, such as ``inputs[3].payload``."""
        return type(self)(self.message, field=f"{parent}.{self.field}" if self.field else parent, **self.details)


class PayloadTooLarge(BadInput):
    """The request carries more data than is allowed."""

    code = "PAYLOAD_TOO_LARGE"


class Unauthenticated(DTQError):
    """Sign in first: the request bears no valid token."""

    code = "UNAUTHENTICATED"


class Forbidden(DTQError):
    """Your role does not allow this."""

    code = "FORBIDDEN"


class NotFound(DTQError):
    """There is no such object, or none that you may see."""

    code = "NOT_FOUND"


class Conflict(DTQError):
    """The object's present state does not allow this."""

    code = "CONFLICT"


class RateLimited(DTQError):
    """Too many requests: wait and try again."""

    code = "RATE_LIMITED"

    def __init__(self, message: str | None = None, *, retry_after_seconds: float, field: str | None = None) -> None:
        super().__init__(message, field=field, retryAfter=round(retry_after_seconds, 3))
        self.retry_after_seconds = retry_after_seconds


class Unavailable(DTQError):
    """A server that DTQ needs does not answer; try again with the same idempotency key."""

    code = "UNAVAILABLE"
