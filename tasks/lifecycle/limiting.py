"""Limits in the life of a task: an attempt that ends gives up its place under a cap, and the first that waits for it moves up.

`admission.py` gives places and tokens away, `tasks/limit_line.py` has the rows. Whoever is woken may yet be refused, and then
stands in line again; and a place can be free while tasks wait because the one that was woken has not been claimed, or
because a limit was changed. So a duty wakes for whatever places it finds free, and another one for tokens when they are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from dtq_site.foundation.database import repeats_lock_conflicts
from tasks import limit_line, limits
from tasks.domain import rates
from tasks.domain.limits import Kind, Limit, Scope
from tasks.domain.rates import Rate
from tasks.domain.states import MOVES, Hold
from tasks.lifecycle.effects import follow
from tasks.lifecycle.rows import BULKY, locked
from tasks.lifecycle.waking import make_awaited_ready
from tasks.models import Task
from tasks.tokens import Wanted, microseconds, tokens

MOST_WOKEN = 1000

PLAN_US = 5_000_000
"""For how long those that were woken may take their tokens: then the bucket tells who has not, having been cancelled."""

_WAITS = Q(status__unindexed__in=MOVES["wake"].sources, hold__unindexed=Hold.LIMIT)


class Plan(NamedTuple):
    """When the bucket of a rate is full once those that were woken have taken their tokens, and since when that is reckoned
    on, in microseconds since 1970.
    """

    full_at_us: int
    begun_at_us: int

    def holds_at(self, now_us: int) -> bool:
        """Whether it still says more than the bucket itself."""
        return self.full_at_us > now_us and now_us - self.begun_at_us < PLAN_US


def places_among(tasks: Iterable[Task]) -> Counter[Limit]:
    """The caps under which these attempts may hold a place. To be asked before their lease is taken off the rows."""
    held: Counter[Limit] = Counter()
    for task in tasks:
        if task.capped:
            of_handler = {Limit(Kind.CAP, Scope.HANDLER, task.name, key) for key in ("", task.limit_key or "")}
            held.update({Limit(Kind.CAP, Scope.QUEUE, task.queue), *of_handler})
    return held


def holds_places(task: Task, now: datetime) -> bool:
    """Whether an attempt of the task, which may have been cancelled, counts for caps: its row must not go yet."""
    return task.capped and task.lease_expires_at is not None and task.lease_expires_at > now


def give_up(places: Mapping[Limit, int], now: datetime) -> list[Task]:
    """Wake for each place that was held under a cap one that waits; returns the tasks that are ready now, for `follow`."""
    if not places:
        return []
    limit_line.lock(places.keys())
    return _wake(_firsts(places), now)


@repeats_lock_conflicts
def fill_places(awaited: Collection[Limit], now: datetime) -> int:
    """Wake the first that wait for these caps, as many as there are places free; returns how many, at most MOST_WOKEN."""
    limits.refresh()
    rules = {cap: limits.of(cap) for cap in awaited}
    running = limit_line.running([cap for cap, rule in rules.items() if rule is not None], now)
    free = {cap: MOST_WOKEN if rule is None else (rule.cap or 0) - running[cap] for cap, rule in rules.items()}
    return _wake_and_tell(_firsts(free), now)


@repeats_lock_conflicts
def wake_strays(task_ids: Collection[UUID], now: datetime) -> int:
    """Wake tasks that wait for a limit and stand in no line, which would be a defect; returns how many."""
    return _wake_and_tell(task_ids, now)


def spend_tokens(
    awaited: Collection[Limit], planned: MutableMapping[Limit, Plan], now: datetime
) -> tuple[int, float | None]:
    """Wake the first that wait for tokens of these rates, as many as there are tokens.

    Returns how many, at most MOST_WOKEN, and in how many seconds there is another token. `planned` is the caller's memory
    from call to call.
    """
    now_us = microseconds(now)
    holding = {limit: plan for limit, plan in planned.items() if plan.holds_at(now_us)}
    woken, plans, next_at = _spend(awaited, holding, now)
    planned.clear()  # not before the commit: a transaction that is repeated has woken nobody
    planned.update(holding | plans)
    return woken, (min(next_at) - now_us) / 1_000_000 if next_at else None


@repeats_lock_conflicts
def _spend(
    awaited: Collection[Limit], planned: Mapping[Limit, Plan], now: datetime
) -> tuple[int, dict[Limit, Plan], list[int]]:
    limits.refresh()
    rules = {limit: limits.of(limit) for limit in awaited}
    firsts = _firsts({limit: MOST_WOKEN for limit, rule in rules.items() if rule is None})
    rates_of = {limit: rule.rate for limit, rule in rules.items() if rule is not None and rule.rate is not None}
    now_us, plans, next_at = microseconds(now), {}, []
    for limit, bucket in tokens().look(rates_of, now).items():
        rate = rates_of[limit]
        plan = max(planned.get(limit, Plan(0, 0)), Plan(now_us + bucket.full_in_us, now_us))
        there, _ = rates.take(rate, plan.full_at_us, now_us, MOST_WOKEN)
        found = limit_line.first_in_line(limit, there, MOST_WOKEN - len(firsts))
        _, full_at = rates.take(rate, plan.full_at_us, now_us, len(found))
        plans[limit] = Plan(full_at, plan.begun_at_us)
        next_at.append(rates.token_at(rate, full_at, now_us))
        firsts += found
    return _wake_and_tell(firsts, now), plans, next_at


def return_after_commit(unstarted: Collection[Task], now: datetime) -> None:
    """Give back the tokens of tasks that were claimed and have not begun, once that is certain."""
    if not unstarted:
        return
    limits.refresh()
    unused: Counter[Limit] = Counter()
    rates_of: dict[Limit, Rate] = {}
    for task in unstarted:
        for limit, rule in limits.applying_to(task.queue, task.name, task.limit_key).items():
            if limit.kind is Kind.RATE and rule.rate is not None:
                unused[limit] += 1
                rates_of[limit] = rule.rate
    if unused:
        wanted = {limit: (rates_of[limit], -count) for limit, count in unused.items()}
        transaction.on_commit(lambda: _give_back(wanted, now), robust=True)


@repeats_lock_conflicts
def _give_back(wanted: Wanted, now: datetime) -> None:
    tokens().take(wanted, now)


def _firsts(counts: Mapping[Limit, int]) -> list[UUID]:
    """The first that wait for these limits, so many for each, and MOST_WOKEN in all."""
    found: list[UUID] = []
    for limit, count in sorted(counts.items()):
        found += limit_line.first_in_line(limit, count, MOST_WOKEN - len(found))
    return found


def _wake_and_tell(task_ids: Collection[UUID], now: datetime) -> int:
    woken = _wake(task_ids, now)
    follow(woken)
    return len(woken)


def _wake(task_ids: Collection[UUID], now: datetime) -> list[Task]:
    """Make tasks ready that wait for limits."""
    if not task_ids:
        return []
    rows = locked(
        task_ids, without=BULKY
    )  # those too that wait no more: nobody may stand in line anew before the old place is gone
    limit_line.leave_line(task_ids)
    woken = [task for task in rows if task.status in MOVES["wake"].sources and task.hold == Hold.LIMIT]
    make_awaited_ready(woken, _WAITS, now)
    return woken
