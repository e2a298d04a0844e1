"""What workers have announced of their handlers, as far as it counts for who creates tasks.

Of a name speaks the newest of the team's own workers, else the newest of those that serve all teams. A worker whose token is for
some queues must not lead the tasks of others into them: it speaks where neither of these has announced the name, and names no
queue but those of its token.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from accounts import worker_tokens
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer
from tasks.domain.submission import Defaults
from tasks.handling.declaration import Declaration
from tasks.handling.errors import BadDeclaration
from workers.models import Worker

REMEMBERED_SECONDS = 2.0

Announced = dict[tuple[UUID | None, str], Declaration]
"""By team, None for those that serve all, and name."""

_known: tuple[float, Announced] = (float("-inf"), {})
_unreadable: frozenset[tuple[UUID, str]] = frozenset()
_observer = Observer(log_events("dtq.workers", {"announcement.unreadable": "warning"}))


def announced_defaults(name: str, team_id: UUID | None) -> Defaults | None:
    """What workers have announced of the handler to that team, or to all teams if it is None; a few seconds old at most."""
    global _known
    read_at, announced = _known
    if elapsed_clock() - read_at > REMEMBERED_SECONDS:
        announced = _read()
        _known = (elapsed_clock(), announced)
    return announced.get((team_id, name)) or announced.get((None, name))


def forget_known() -> None:
    """Drop the memory of announcements, as after another database took this one's place."""
    global _known
    _known = (float("-inf"), {})


def _read() -> Announced:
    """Limits hold for all teams, so what one team's worker says of them does not count."""
    said, of_confined = _read_workers()
    for (team_id, name), each in of_confined.items():
        if (None, name) not in said:
            said.setdefault((team_id, name), each)
    return {key: _limited_by(each, said.get((None, key[1]), Declaration())) for key, each in said.items()}


def _read_workers() -> tuple[Announced, Announced]:
    """What the newest say, and what the newest of those say whose token is for some queues."""
    global _unreadable
    said: Announced = {}
    of_confined: Announced = {}
    unreadable: set[tuple[UUID, str]] = set()
    oldest_first = list(Worker.objects.order_by("started_at").values_list("pk", "team_id", "token_id", "handlers"))
    queues_of = worker_tokens.queues_of({token_id for _, _, token_id, _ in oldest_first if token_id is not None})
    for worker_id, team_id, token_id, handlers in oldest_first:
        queues = queues_of.get(token_id)
        is_confined = token_id is not None and queues != frozenset()  # one that is gone may have been
        for name, announced in handlers.items():
            declaration = _declared(worker_id, name, announced)
            if declaration is None:
                unreadable.add((worker_id, name))
            elif is_confined:
                of_confined[team_id, name] = _within(declaration, queues or ())
            else:
                said[team_id, name] = declaration
    _unreadable = frozenset(unreadable)
    return said, of_confined


def _declared(worker_id: UUID, name: str, announced: Any) -> Declaration | None:
    """None, and a line of the log when it is met first, if this version cannot read it, as that of a newer one."""
    try:
        return Declaration.from_json(announced)
    except BadDeclaration as error:
        if (worker_id, name) not in _unreadable:
            _observer.emit("announcement.unreadable", worker=str(worker_id), name=name, error=error.message)
        return None


def _within(said: Declaration, queues: Collection[str]) -> Declaration:
    return said if said.queue in queues else replace(said, queue=None)


def _limited_by(said: Declaration, common: Declaration) -> Declaration:
    return replace(said, rate=common.rate, burst=common.burst, max_running=common.max_running, per=common.per)
