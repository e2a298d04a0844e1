"""What the end of a lease gives back: the locks that the attempt holds, and its places under caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tasks.domain.limits import Limit
from tasks.domain.locks import Holder
from tasks.lifecycle.limiting import give_up, places_among
from tasks.lifecycle.locking import free_locks_of, lock_holders_among
from tasks.models import Task


@dataclass(frozen=True)
class Held:
    """What some attempts hold beside their leases."""

    holders: list[Holder]
    places: Counter[Limit]


def held_among(tasks: Collection[Task]) -> Held:
    """What these attempts hold. To be asked before their lease is taken off the rows."""
    return Held(lock_holders_among(tasks), places_among(tasks))


def free_all(held: Held, now: datetime) -> list[Task]:
    """Give back all that attempts have held; returns the tasks that are ready now in their place, for `follow`."""
    return [*free_locks_of(held.holders, now), *give_up(held.places, now)]
