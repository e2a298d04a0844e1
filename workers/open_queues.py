"""Which queues a claim asks: those that the worker serves, that are not paused, and where there may be work.

Each question costs a round trip, so where there are many queues one question for all of them comes first. It takes longer the
more there are; its answer is good for a multiple of that, and what has rung since is asked in any case.
"""

from __future__ import annotations

from collections.abc import Collection

from dtq_site.foundation.backoff import shuffled
from dtq_site.foundation.clock import elapsed_clock
from tasks.models import Queue
from tasks.queue.dispatch import database_index, redis_index
from tasks.queue.overview import with_work

_PAUSED = 0

FEW = 8
"""So many are asked one by one."""

_GOOD_FOR = 10.0
"""For how many times as long as it took an answer is good: the questions take a tenth of a worker's time at most."""

_queues: tuple[float, dict[str, int]] = (float("-inf"), {})
_busy: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
_rung: set[str] = set()


def open_queues(queues: Collection[str], oldest_seconds: float = 0.5) -> dict[str, int]:
    """Those of the queues, or of all if none is named, that are not paused, with their weights, in random order so that none
    is always first. One that has no row yet weighs 1.

    Not quite new: who waits looks twice a second, so that who claims seldom has to. A queue paused meanwhile is refused
    by the claim itself.
    """
    global _queues
    read_at, weights = _queues
    if elapsed_clock() - read_at > oldest_seconds:
        rows = Queue.objects.values_list("name", "paused", "weight")
        weights = {name: _PAUSED if paused else weight for name, paused, weight in rows}
        _queues = (elapsed_clock(), weights)
    served = shuffled(queues or weights.keys())
    return {name: weights.get(name, 1) for name in served if weights.get(name, 1) != _PAUSED}


def forget_queues() -> None:
    """Ask anew which queues there are, and where there is work."""
    global _queues, _busy
    _queues = (float("-inf"), {})
    _busy = (float("-inf"), frozenset())
    _rung.clear()


def note_ring(queue: str) -> None:
    """Have the next claim ask this queue, though it be new."""
    if queue not in _queues[1]:
        forget_queues()
    _rung.add(queue)


def with_ready_rows(weights: dict[str, int]) -> dict[str, int]:
    """Those of the queues in which tasks are ready, by the rows; all of them if they are few."""
    if len(weights) <= FEW:
        return weights
    found = database_index.with_work(weights)
    return {queue: weight for queue, weight in weights.items() if queue in found}


def with_hints(weights: dict[str, int], names: Collection[str]) -> dict[str, int]:
    """Those of the queues in which the index has tasks of these names, or is not whole; all of them if they are few.

    Raises IndexLost.
    """
    global _busy
    if len(weights) <= FEW:
        return weights
    good_until, found = _busy
    if _rung:
        found = frozenset(_rung)
        _rung.clear()
        _busy = (good_until, _busy[1] | found)
    elif elapsed_clock() >= good_until:
        begun = elapsed_clock()
        found = with_work(redis_index(), weights, names)
        _busy = (elapsed_clock() + _GOOD_FOR * (elapsed_clock() - begun), found)
    return {queue: weight for queue, weight in weights.items() if queue in found}
