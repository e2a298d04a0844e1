"""Keeps the dispatch index in Redis equal to the rows."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from django.conf import settings

from dtq_site.foundation.clock import Clock
from dtq_site.foundation.observer import Observer
from scheduling.runtime.duty import Duty
from scheduling.runtime.leader import Leader
from tasks import lifecycle
from tasks.domain.priority import level_ms
from tasks.models import Queue
from tasks.queue import overview
from tasks.queue.dispatch import database_index, redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation

BUDGET_SECONDS = 0.1
"""Of each second, for what lies behind the fronts of all queues together: a tenth of a core."""

RERANKED_AT_ONCE = 1000
SAFE_EVICTION = "noeviction"


class Reconciler(Duty):
    """Once a second, for each queue: is the index whole, does it say what the rows say, and stand they where they should?"""

    name = "reconciler"

    @property
    def period_seconds(self) -> float:
        """See SchedulingOptions."""
        return settings.DTQ_SCHEDULING.reconciler_period.total_seconds()

    def __init__(self, observer: Observer, clock: Clock, leader: Leader) -> None:
        super().__init__(observer, clock, leader)
        self._queues: dict[str, Reconciliation] = {}
        self._policy_known = False
        self._doubted: set[str] = set()

    def perform(self, now: datetime) -> float:
        """Rebuild what is lost, repair what differs; go on at once while there is much of it."""
        self._look_at_policy()
        ageing = dict(Queue.objects.values_list("name", "ageing_seconds"))
        idle = self._idle(ageing)
        busy = [self._reconcile(name, level_ms(seconds), now) for name, seconds in ageing.items() if name not in idle]
        return 0.0 if any(busy) else self.period_seconds

    def _idle(self, queues: Collection[str]) -> Collection[str]:
        """Those of the queues for which there is nothing to do: neither rows nor index have anything, nor is anything in mind."""
        known = {name for name in queues if name in self._queues and self._queues[name].is_at_rest} - self._doubted
        try:
            return overview.idle(redis_index(), known) - database_index.with_work(known)
        except IndexLost:
            return ()

    def _look_at_policy(self) -> None:
        if self._policy_known:
            return
        with suppress(IndexLost):
            policies = redis_index().eviction_policies()
            self._policy_known = True
            for policy in policies - {SAFE_EVICTION}:
                self.observer.emit("redis.may_evict", policy=policy, remedy=f"set maxmemory-policy to {SAFE_EVICTION}")

    def _reconcile(self, queue: str, level: int, now: datetime) -> bool:
        """Repair one queue's index; says whether there is more to repair than one sweep could."""
        try:
            return self._repair(queue, level, now)
        except IndexLost:  # workers ask the rows; what becomes ready meanwhile Redis will not know when it is back
            self._doubted.add(queue)
            return False

    def _repair(self, queue: str, level: int, now: datetime) -> bool:
        known = self._queues.setdefault(queue, Reconciliation(redis_index(), queue))
        if known.ensure_whole(trusted=queue not in self._doubted):
            self.observer.emit("index.rebuilt", queue=queue)
            self._doubted.discard(queue)
        long_lines = sum(each.is_long for each in self._queues.values())
        found = known.sweep(now, BUDGET_SECONDS / max(long_lines, 1), level)
        for start in range(0, len(found.misranked), RERANKED_AT_ONCE):
            lifecycle.rerank(queue, found.misranked[start : start + RERANKED_AT_ONCE], level)
        if found:
            facts = {"added": found.added, "removed": found.removed, "reranked": len(found.misranked)}
            self.progress.treat(sum(facts.values()))
            self.observer.emit("index.repaired", queue=queue, **facts)
        return bool(found) and known.is_long
