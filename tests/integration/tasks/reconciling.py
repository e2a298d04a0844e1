"""The index held against the rows: what stands in it, what is repaired, what was found to differ."""

from __future__ import annotations

from tasks import metrics
from tasks.domain.priority import STRICT_WEIGHT
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.support.factories import after


def everything(index: RedisIndex) -> list:
    """Takes all that stands in the queue "default"."""
    return index.take("default", {"job"}, 1000)


def repairs() -> float:
    """How many entries have been put right."""
    return metrics.sums().get((metrics.REPAIRS, ""), 0)


def drift(kind: str) -> float:
    """How many entries were found to differ in this way."""
    return metrics.sums().get((metrics.DRIFT, kind), 0)


def whole(queue: str = "default") -> Reconciliation:
    """The repair of an index that is whole."""
    known = Reconciliation(redis_index(), queue)
    assert known.ensure_whole()
    return known


def sweep(known: Reconciliation, budget_seconds: float = 1.0, *, seconds: float = 60, level: int | None = None):
    """One sweep, so many seconds after START; the queue is strict unless a level is worth so many ms."""
    return known.sweep(after(seconds), budget_seconds, STRICT_WEIGHT if level is None else level)
