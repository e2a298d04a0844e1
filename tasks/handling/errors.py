"""What handlers raise to say what follows, and what is raised to those who declare, call or stop them.

    Exception
    ├── Retry                      a handler: run me again
    ├── Discard                    a handler: never run me again
    ├── LockUnavailable            `context.lock(…)`: another attempt holds the lock
    └── DTQError
        ├── HandlersNotLoaded      a module with handlers cannot be imported
        ├── NotConnected           `.enqueue()` in a process that neither is a server nor talks to one
        └── BadInput
            ├── BadDeclaration     `@task(…)` has a value that is not allowed
            └── PayloadMismatch    the payload does not fit the handler's arguments
    BaseException
    └── TaskInterrupted            the attempt is to end; its outcome is decided elsewhere
        ├── TaskCancelled
        └── TimeLimitExceeded

An interruption is no `Exception` for the reason for which `KeyboardInterrupt` and `asyncio.CancelledError` are none: a
handler that wraps each picture or row in `except Exception` to go on with the next would swallow it and never end.
"""

from __future__ import annotations

import math

from dtq_site.foundation.errors import BadInput, DTQError

LONGEST_DELAY_SECONDS = 365 * 86400


class Retry(Exception):
    """Raised by a handler: this attempt failed, run the task again while it has attempts left.

    `delay_seconds` takes the place of the usual backoff; None keeps it. `reason` becomes the attempt's error text.
    Raises ValueError unless the delay is from 0 to a year.
    """

    def __init__(self, delay_seconds: float | None = None, reason: str = "") -> None:
        if delay_seconds is not None and not (
            math.isfinite(delay_seconds) and 0 <= delay_seconds <= LONGEST_DELAY_SECONDS
        ):
            raise ValueError(f"Retry: delay_seconds must be from 0 to {LONGEST_DELAY_SECONDS}, not {delay_seconds!r}")
        self.delay_seconds = delay_seconds
        self.reason = reason
        super().__init__(reason or "The handler asked for another attempt.")


class Discard(Exception):
    """Raised by a handler: the task has failed and another attempt would not help; it becomes FAILED at once."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class LockUnavailable(Exception):
    """Raised to a handler: the lock that it wants is held by another attempt, and was all the time that it would wait."""

    def __init__(self, name: str, timeout_seconds: float) -> None:
        self.name = name
        super().__init__(f"The lock {name!r} was not to be had within {timeout_seconds:g} s.")


class HandlersNotLoaded(DTQError):
    """A module with handlers cannot be imported."""

    code = "HANDLERS_NOT_LOADED"


class NotConnected(DTQError):
    """This process cannot enqueue: it is neither a server (django.setup()) nor a worker connected to one."""

    code = "NOT_CONNECTED"


class BadDeclaration(BadInput):
    """A handler is declared with a value that is not allowed."""


class PayloadMismatch(BadInput):
    """The payload does not fit the handler's arguments."""


class TaskInterrupted(BaseException):
    """This attempt is to end now. Clean up and let it pass; a result that is returned in spite of it is refused."""

    def __init__(self) -> None:
        super().__init__((type(self).__doc__ or "").strip())


class TaskCancelled(TaskInterrupted):
    """The task was cancelled, or is another worker's now."""


class TimeLimitExceeded(TaskInterrupted):
    """The attempt has used up its time limit."""
