"""What is declared about a handler: by its code if this process knows it, else by the workers that announced it.

A team's own workers speak for the tasks of their team and for no other's, and not of limits, which hold for all teams: of these
only the installation's workers speak. The app of workers fills in who knows what was announced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from tasks.domain.limits import KEY_NAMES
from tasks.domain.locks import LOCK_NAMES
from tasks.domain.submission import Defaults
from tasks.handling import registry

NOTHING = Defaults(None, None, None, None)

LookUp = Callable[[str, UUID | None], Defaults | None]


def _nobody(name: str, team_id: UUID | None) -> Defaults | None:
    return None


_look_up: LookUp = _nobody


def fill(look_up: LookUp) -> None:
    """Say who knows what the newest worker announced of a handler to that team; None: to all teams."""
    global _look_up
    _look_up = look_up


def declared_defaults(name: str, team_id: UUID | None) -> Defaults:
    """The defaults that the handler of that name declares for tasks of that team (None: of whichever); silent ones if nobody
    knows it.
    """
    handler = registry.lookup(name)
    return handler.declaration if handler else announced_defaults(name, team_id)


def declared_lock(name: str, payload: Mapping[str, Any], team_id: UUID) -> str | None:
    """The lock that a task with that payload needs by its handler's declaration. Raises BadInput, naming the payload's key."""
    template = declared_defaults(name, team_id).lock
    return None if template is None else LOCK_NAMES.fill(template, payload)


def declared_key(name: str, payload: Mapping[str, Any]) -> str | None:
    """For what its handler's limits count apart a task with that payload is. Raises BadInput, naming the payload's key."""
    template = declared_defaults(name, None).per
    return None if template is None else KEY_NAMES.fill(template, payload)


def announced_defaults(name: str, team_id: UUID | None) -> Defaults:
    """The defaults of a handler by its newest announcement; silent ones if nobody announced it."""
    return _look_up(name, team_id) or NOTHING
