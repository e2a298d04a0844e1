"""The only writer of queues: they come into being when first used, can be paused, and served in other ways."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import BadInput, NotFound
from tasks.domain.limits import NO_RATE, check_cap
from tasks.domain.priority import level_ms as _level_ms
from tasks.domain.rates import check_burst, read_rate
from tasks.models import Queue

REMEMBERED_SECONDS = 1.0
DEFAULT_WEIGHT, HEAVIEST = 1, 1000
LONGEST_AGEING_SECONDS = 7 * 86_400

_known: tuple[float, Mapping[str, int]] = (float("-inf"), {})
_lock = threading.Lock()


class _Made(threading.local):
    """Queues that this thread has made in a transaction, which may still be rolled back: they are not remembered in it."""

    names: frozenset[str] = frozenset()


_made = _Made()


def ensure(names: Collection[str], now: datetime) -> dict[str, int]:
    """Make sure that a row exists for each queue name; returns for each what one level of priority is worth, in ms of age.

    What is known is a second old at most. Raises BadInput when there would be too many queues.
    """
    known = _remembered()
    missing = set(names) - known.keys()
    if missing:
        known = {**known, **_read(missing)}
        new = missing - known.keys()
        if new and Queue.objects.count() + len(new) > settings.DTQ_TASKS.max_queues:
            raise BadInput(f"There are {settings.DTQ_TASKS.max_queues} queues already; use one of them.", field="queue")
        Queue.objects.bulk_create([Queue(name=name, created_at=now) for name in sorted(new)], ignore_conflicts=True)
        _made.names |= new
        known = {**known, **dict.fromkeys(new, _level_ms(None))}
    return {name: known[name] for name in names}


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
