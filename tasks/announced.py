"""What workers announced of handlers that this process does not know: one function, filled by the app of workers."""

from __future__ import annotations

from collections.abc import Callable

from tasks.domain.submission import Defaults

NOTHING = Defaults(None, None, None, None)


def _nobody(name: str) -> Defaults | None:
    return None


_look_up: Callable[[str], Defaults | None] = _nobody


def fill(look_up: Callable[[str], Defaults | None]) -> None:
    """Say who knows what the newest worker announced of a handler."""
    global _look_up
    _look_up = look_up


def announced_defaults(name: str) -> Defaults:
    """The defaults of a handler by its newest announcement; silent ones if nobody announced it."""
    return _look_up(name) or NOTHING
