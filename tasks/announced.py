"""What is declared about a handler: by its code if this process knows it, else by the workers that announced it.

The app of workers fills in who knows what was announced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tasks.domain.limits import KEY_NAMES
from tasks.domain.locks import LOCK_NAMES
from tasks.domain.submission import Defaults
from tasks.handling import registry

NOTHING = Defaults(None, None, None, None)


def _nobody(name: str) -> Defaults | None:
    return None


_look_up: Callable[[str], Defaults | None] = _nobody


def fill(look_up: Callable[[str], Defaults | None]) -> None:
    """Say who knows what the newest worker announced of a handler."""
    global _look_up
    _look_up = look_up


def declared_defaults(name: str) -> Defaults:
    """The defaults that the handler of that name declares; silent ones if nobody knows it."""
    handler = registry.lookup(name)
    return handler.declaration if handler else announced_defaults(name)


def declared_lock(name: str, payload: Mapping[str, Any]) -> str | None:
    """The lock that a task with that payload needs by its handler's declaration. Raises BadInput, naming the payload's key."""
    template = declared_defaults(name).lock
    return None if template is None else LOCK_NAMES.fill(template, payload)


def declared_key(name: str, payload: Mapping[str, Any]) -> str | None:
    """For what its handler's limits count apart a task with that payload is. Raises BadInput, naming the payload's key."""
    template = declared_defaults(name).per
    return None if template is None else KEY_NAMES.fill(template, payload)


def announced_defaults(name: str) -> Defaults:
    """The defaults of a handler by its newest announcement; silent ones if nobody announced it."""
    return _look_up(name) or NOTHING
