"""The only writer of queues: they come into being when first used, can be paused, and served in other ways."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count

from accounts.selectors import admins_among
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import BadInput, NotFound
from tasks.domain import webhooks
from tasks.domain.limits import NO_RATE, check_cap
from tasks.domain.priority import level_ms as _level_ms
from tasks.domain.rates import check_burst, read_rate
from tasks.domain.submission import DEFAULT_QUEUE
from tasks.models import Queue

REMEMBERED_SECONDS = 1.0
DEFAULT_WEIGHT, HEAVIEST = 1, 1000
LONGEST_AGEING_SECONDS = 7 * 86_400
ESSENTIAL = frozenset({DEFAULT_QUEUE, webhooks.QUEUE})
"""Queues of the installation itself: they can be made however many there are."""


class Asker(NamedTuple):
    """Who asks for a queue: an account, in whose team's name; None for code of this installation."""

    team_id: UUID
    user_id: UUID | None


_NOBODY: Mapping[str, Asker] = MappingProxyType({})

_known: tuple[float, Mapping[str, int]] = (float("-inf"), {})
_lock = threading.Lock()


class _Made(threading.local):
    """Queues that this thread has made in a transaction, which may still be rolled back: they are not remembered in it."""

    names: frozenset[str] = frozenset()


_made = _Made()


def ensure(names: Collection[str], now: datetime, askers: Mapping[str, Asker] = _NOBODY) -> dict[str, int]:
    """Make sure that a row exists for each queue name; returns for each what one level of priority is worth, in ms of age.

    What is known is a second old at most. Raises BadInput when there would be too many queues, or more than the team's share
    of whoever asks, unless that is an admin. `askers` leaves out what code of this installation asks for.
    """
    known = _remembered()
    missing = set(names) - known.keys()
    if missing:
        known = {**known, **_read(missing)}
        new = missing - known.keys()
        if new:
            _make(new, now, askers)
        _made.names |= new
        known = {**known, **dict.fromkeys(new, _level_ms(None))}
    return {name: known[name] for name in names}


def _make(names: Collection[str], now: datetime, askers: Mapping[str, Asker]) -> None:
    bounded = set(names) - ESSENTIAL
    users = {name: asker.user_id for name, asker in askers.items() if name in bounded and asker.user_id is not None}
    admins = admins_among(set(users.values()))
    teams = {name: askers[name].team_id for name, user_id in users.items() if user_id not in admins}
    if bounded:
        _check_room(sorted(bounded), teams)
    rows = [Queue(name=name, team_id=teams.get(name), created_at=now) for name in sorted(names)]
    Queue.objects.bulk_create(rows, ignore_conflicts=True)


def _check_room(names: Sequence[str], teams: Mapping[str, UUID]) -> None:
    """Raise BadInput if there is no room for these queues, of which `teams` has those that count against a share."""
    options = settings.DTQ_TASKS
    if teams:  # one after the other: each is to count what the others have made
        list(Queue.objects.select_for_update().filter(name=DEFAULT_QUEUE).values_list("pk"))
    there = dict(Queue.objects.values_list("team_id").annotate(Count("pk")))
    for team_id, wanted in Counter(teams.values()).items():
        if there.get(team_id, 0) + wanted > options.team_queues:
            raise BadInput(
                f"There is no queue {next(iter(teams))!r}, and the team may make {options.team_queues} only (DTQ_TEAM_QUEUES). "
                "Name one that there is, also in the place of a handler's own, or have an admin make it by a task of theirs.",
                field="queue",
            )
    if sum(there.values()) + len(names) > options.max_queues:
        raise BadInput(
            f"There is no queue {names[0]!r}, and there are {options.max_queues} queues already; use one of them, also in the "
            "place of a handler's own, or have DTQ_MAX_QUEUES raised.",
            field="queue",
        )


def level_ms(name: str) -> int:
    """What one level of priority is worth in a queue that exists, in ms of age; a second old at most."""
    known = _remembered()
    return known[name] if name in known else _read([name]).get(name, _level_ms(None))


def are_known(names: Collection[str]) -> bool:
    """Whether each of the queues is remembered to exist."""
    return _remembered().keys() >= set(names)


def forget_known() -> None:
    """Drop the memory of queues, as after another database took this one's place."""
    global _known
    with _lock:
        _known = (float("-inf"), {})


def _remembered() -> Mapping[str, int]:
    since, known = _known
    return known if elapsed_clock() - since <= REMEMBERED_SECONDS else {}


def _read(names: Collection[str]) -> dict[str, int]:
    global _known
    read_at = elapsed_clock()
    rows = Queue.objects.filter(name__in=names).values_list("name", "ageing_seconds")
    found = {name: _level_ms(ageing_seconds) for name, ageing_seconds in rows}
    if not connection.in_atomic_block:
        _made.names = frozenset()
    sure = {name: level for name, level in found.items() if name not in _made.names}
    with _lock:
        remembered = _remembered()
        _known = (_known[0], {**remembered, **sure}) if remembered else (read_at, sure)
    return found


def pause(name: str) -> Queue:
    """Stop handing out tasks of the queue, everywhere and until it is resumed. Raises NotFound."""
    return _change(name, paused=True)


def resume(name: str) -> Queue:
    """Hand out tasks of the queue again. Raises NotFound."""
    return _change(name, paused=False)


def configure(name: str, changes: Mapping[str, str | int | None]) -> Queue:
    """Change `weight` or `ageing_seconds`; None is what a new queue has, and no ageing, or 0, strict order.

    Raises BadInput and NotFound.

    Limits are lifted by None, the cap also by 0; a burst goes with its rate. The tasks that wait get their new places from the
    reconciler.
    """
    return _change(name, **checked_changes(name, changes))


def checked_changes(name: str, changes: Mapping[str, str | int | None]) -> dict[str, Any]:
    """What is wanted of a queue, as it is kept. Raises BadInput."""
    if not changes:
        raise BadInput("Give at least one field to change.")
    checked = {column: _CHECKS[column](value) for column, value in changes.items()}
    if "rate_limit" in checked and checked["rate_limit"] is None:
        checked.setdefault("burst", None)
    if checked.get("burst") is not None and not _has_rate(name, checked):
        raise BadInput("burst says nothing without a rateLimit; give one too.", field="burst")
    return checked


def _has_rate(name: str, checked: Mapping[str, Any]) -> bool:
    if "rate_limit" in checked:
        return checked["rate_limit"] is not None
    return Queue.objects.filter(name=name).exclude(rate_limit=None).exists()


def _checked_weight(value: int | None) -> int:
    if value is None:
        return DEFAULT_WEIGHT
    if not 1 <= value <= HEAVIEST:
        raise BadInput(f"weight must be from 1 to {HEAVIEST:,}, not {value}.", field="weight")
    return value


def _checked_rate(value: str | None) -> str | None:
    return None if value in (None, NO_RATE) else str(read_rate(value))


def _checked_cap(value: int | None) -> int | None:
    return check_cap(value) if value else None


def _checked_ageing(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= LONGEST_AGEING_SECONDS:
        raise BadInput(
            f"ageingSeconds must be from 0 (strict priority) to {LONGEST_AGEING_SECONDS:,}, not {value:,}.",
            field="ageingSeconds",
        )
    return value or None


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "weight": _checked_weight,
    "ageing_seconds": _checked_ageing,
    "rate_limit": _checked_rate,
    "burst": lambda value: None if value is None else check_burst(value),
    "concurrency_limit": _checked_cap,
}


def _change(name: str, **columns: object) -> Queue:
    if not Queue.objects.filter(name=name).update(**columns):
        raise NotFound(f"There is no queue named {name!r}.")
    return Queue.objects.get(name=name)
