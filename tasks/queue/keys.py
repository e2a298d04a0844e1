"""Every key in Redis, its type and its lifetime.

The braces keep all keys of a queue in one slot of a cluster. Where the dispatch index is in a cluster, it holds the keys
`ready`, `lanes`, `inflight`, `takers` and `whole`; bells, buckets and channels stay on the one server that all share.
"""

from __future__ import annotations

import re

BELL_SECONDS = 60
LOCK_BELL_SECONDS = 10

MOST_RINGS = 32
"""How many workers one bell can have waked before any of them has come."""

EVENTS_GROUP = "events"
EVENTS = f"dtq__group__{EVENTS_GROUP}"
"""Channel of publish and subscribe, for changes of tasks; the channel layer makes its name of its prefix and the group."""

RINGS = "dtq:rings"
"""Channel of publish and subscribe, for those who wait without a connection of their own: the key of each bell that rings."""

BELLS_OF_ALL = "dtq:bell:"
"""What the keys of the bells of handler names begin with."""

DUE = "dtq:due"
"""Channel of publish and subscribe, for the scheduler: the moment, in ms, at which the first of some new waiting tasks is due."""

BUCKETS = "dtq:{limits}:bucket:"
"""Strings, each expires when its bucket is full: what the keys of the buckets of rates begin with, before the limit's name. The
value is the moment when the bucket is full, in microseconds since 1970."""

_BELL = re.compile(r"dtq:\{(.*?)\}:bell:(.*)", re.DOTALL)


def lane(queue: str, name: str) -> str:
    """Sorted set, no expiry: the ready tasks of one handler name; member id, score rank."""
    return lane_prefix(queue) + name


def lane_prefix(queue: str) -> str:
    """What the keys of all lanes of a queue begin with."""
    return f"dtq:{{{queue}}}:ready:"


def lanes(queue: str) -> str:
    """Set, no expiry: the names of the queue's lanes."""
    return f"dtq:{{{queue}}}:lanes"


def inflight(queue: str) -> str:
    """Sorted set, no expiry: tasks being handed over; member ``rank:id:name``, score the deadline in ms."""
    return f"dtq:{{{queue}}}:inflight"


def takers(queue: str) -> str:
    """Sorted set, no expiry: the workers that took from the queue lately; member worker id, score the moment in ms."""
    return f"dtq:{{{queue}}}:takers"


def whole(queue: str) -> str:
    """String, no expiry: ``whole:<run id of Redis>`` when nothing is missing, ``building:<nonce>`` during a rebuild."""
    return f"dtq:{{{queue}}}:whole"


def bell(queue: str, name: str) -> str:
    """List, expires after BELL_SECONDS: one element, the queue, for each idle worker to wake for a lane."""
    return bell_prefix(queue) + name


def bell_of_all(name: str) -> str:
    """As `bell`, for workers that serve all queues: what is an element there, the queue, says where."""
    return BELLS_OF_ALL + name


def bell_prefix(queue: str) -> str:
    """What the keys of all bells of a queue begin with."""
    return f"dtq:{{{queue}}}:bell:"


def lane_of_bell(key: str) -> tuple[str, str]:
    """The queue and the handler name of a bell's key."""
    found = _BELL.fullmatch(key)
    assert found is not None, key
    return found[1], found[2]


def lock_bell(name: str) -> str:
    """List, expires after LOCK_BELL_SECONDS: one element when the lock was freed lately and nobody has noticed."""
    return f"dtq:lock:{name}:bell"
