"""Whether what a claim has won may run now: it needs the lock that it names, a place under each cap that applies to it, and a
token of each rate.

A task that lacks one of them leaves the line as PENDING, keeps its place, and stands in the line of the first thing that it
lacks; it takes nothing of the others. Whatever ends a lease wakes the first of that line in the same transaction, and for
tokens a duty does when they are there. To be woken is a hint, not a right: the next claim judges anew. But nobody gets what
tasks wait for that stand before it, so that those who come later do not live at the cost of those who wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import F

from dtq_site.foundation.errors import BadInput
from tasks import limit_line, limits, locks
from tasks.announced import declared_defaults
from tasks.domain.limits import KEY_NAMES, Kind, Limit, Rule
from tasks.domain.locks import LOCK_NAMES, Holder
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.domain.templates import NameKind
from tasks.lifecycle.claims import ClaimedTask
from tasks.lifecycle.rows import NO_LEASE, chosen_by_key
from tasks.limit_line import Place
from tasks.models import NamedLock, Task
from tasks.tokens import tokens

Need = str | Limit
"""What a task must have to run: a lock, by its name, or what a limit leaves."""


def is_conditional(won: Sequence[ClaimedTask]) -> bool:
    """Whether any of these claimed tasks, whose queue has no limit, needs something to run."""
    return any(task.lock is not None for task in won) or any(
        declared_defaults(name, team_id).lock is not None or limits.of_handler(name) is not None
        for name, team_id in {(task.name, task.team_id) for task in won}
    )


def admit(won: Sequence[ClaimedTask], queue: str, now: datetime) -> tuple[list[ClaimedTask], list[ClaimedTask]]:
    """Give claimed tasks what they need: those that may run, and those that wait now."""
    _fill_late(won, "lock", LOCK_NAMES)
    _fill_late(won, "limit_key", KEY_NAMES, of="per")
    needs, rules = _needs(won, queue)
    rows = locks.opened({task.lock for task in won if task.lock is not None}, now)
    caps = {limit for limit in rules if limit.kind is Kind.CAP}
    supply: dict[Need, int] = {name: int(locks.is_free(row, now)) for name, row in rows.items()}
    supply |= _places(caps, rules, needs, now)
    fronts = limit_line.fronts(rules, queue)
    judgement = _judge_with_tokens(won, needs, rules, supply, fronts, now)
    _take_locks(judgement.admitted, rows, now)
    _note_places([task for task in judgement.admitted if caps.intersection(needs[task.pk])])
    _park(judgement.refused, queue, now)
    return judgement.admitted, [task for task, _ in judgement.refused]


# --- what they need ------------------------------------------------------------------------------------------------


def _fill_late(won: Sequence[ClaimedTask], column: str, kind: NameKind, of: str | None = None) -> None:
    """Fill the templates of tasks that were created before any worker had announced that their handler has one.

    One whose payload cannot fill it is left to its worker.
    """
    filled: dict[UUID, str] = {}
    for task in won:
        template = getattr(declared_defaults(task.name, task.team_id), of or column)
        if getattr(task, column) is None and template is not None:
            try:
                filled[task.pk] = kind.fill(template, task.payload)
            except BadInput:
                continue
            setattr(task, column, filled[task.pk])
    if filled:
        Task.objects.filter(pk__in=filled).update(**{column: chosen_by_key(column, filled)})


def _needs(won: Sequence[ClaimedTask], queue: str) -> tuple[dict[UUID, list[Need]], dict[Limit, Rule]]:
    """What each task needs, locks first and tokens last, and the rules of the limits among it."""
    needs: dict[UUID, list[Need]] = {}
    rules: dict[Limit, Rule] = {}
    for task in won:
        found = limits.applying_to(queue, task.name, task.limit_key)
        needs[task.pk] = [*([task.lock] if task.lock is not None else []), *sorted(found)]
        rules |= found
    return needs, rules


def _places(
    caps: Collection[Limit], rules: Mapping[Limit, Rule], needs: Mapping[UUID, Collection[Need]], now: datetime
) -> dict[Need, int]:
    """How many places the caps have left, beside those of the claimed tasks, which are leased already."""
    if not caps:
        return {}
    limit_line.opened(caps, now)
    running = limit_line.running(caps, now)
    own = {cap: sum(cap in wanted for wanted in needs.values()) for cap in caps}
    return {cap: (rules[cap].cap or 0) - (running[cap] - own[cap]) for cap in caps}


# --- who gets it ---------------------------------------------------------------------------------------------------


class _Judgement(NamedTuple):
    """Who may run, who may not and for the lack of what, and what is left over."""

    admitted: list[ClaimedTask]
    refused: list[tuple[ClaimedTask, Need]]
    left: dict[Need, int]


def _judge(
    won: Sequence[ClaimedTask],
    needs: Mapping[UUID, Sequence[Need]],
    supply: Mapping[Need, int],
    fronts: Mapping[Limit, Place],
) -> _Judgement:
    """Deal out what there is in the order of the line."""
    admitted, refused, left = [], [], dict(supply)
    for task in won:
        place = (task.rank, task.pk)
        lacking = [need for need in needs[task.pk] if left[need] <= 0 or fronts.get(need, place) < place]
        if lacking:
            refused.append((task, lacking[0]))
            continue
        for need in needs[task.pk]:
            left[need] -= 1
        admitted.append(task)
    return _Judgement(admitted, refused, left)


def _judge_with_tokens(
    won: Sequence[ClaimedTask],
    needs: Mapping[UUID, Sequence[Need]],
    rules: Mapping[Limit, Rule],
    supply: Mapping[Need, int],
    fronts: Mapping[Limit, Place],
    now: datetime,
) -> _Judgement:
    """Judge as if there were tokens enough, take as many as that would need, judge by what there was, give back the rest."""
    rates = {limit: rule.rate for limit, rule in rules.items() if limit.kind is Kind.RATE and rule.rate is not None}
    judgement = _judge(won, needs, {**supply, **dict.fromkeys(rates, len(won))}, fronts)
    if not rates:
        return judgement
    wanted = {limit: (rate, len(won) - judgement.left[limit]) for limit, rate in rates.items()}
    buckets = tokens().take({limit: want for limit, want in wanted.items() if want[1]}, now)
    given = {limit: buckets[limit].taken if limit in buckets else 0 for limit in rates}
    judgement = _judge(won, needs, {**supply, **given}, fronts)
    if unused := {limit: (rate, -judgement.left[limit]) for limit, rate in rates.items() if judgement.left[limit]}:
        tokens().take(unused, now)
    return judgement


# --- what follows --------------------------------------------------------------------------------------------------


def _take_locks(admitted: Sequence[ClaimedTask], rows: Mapping[str, NamedLock], now: datetime) -> None:
    takers = {task.lock: task for task in admitted if task.lock is not None}
    held = {name: (rows[name], Holder(task.pk, task.fencing_token)) for name, task in takers.items()}
    numbers = {takers[name].pk: number for name, number in locks.take(held, now).items()}
    for task in takers.values():
        task.lock_fencing_number = numbers[task.pk]
    if numbers:
        Task.objects.filter(pk__in=numbers).update(lock_fencing_number=chosen_by_key("lock_fencing_number", numbers))


def _note_places(capped: Sequence[ClaimedTask]) -> None:
    for task in capped:
        task.capped = True
    if capped:
        Task.objects.filter(pk__in=[task.pk for task in capped]).update(capped=True)


def _park(refused: Sequence[tuple[ClaimedTask, Need]], queue: str, now: datetime) -> None:
    """Have claimed tasks wait for what they lack, as if they had not been claimed but for their tokens."""
    if not refused:
        return
    holds = {task.pk: Hold.LIMIT if isinstance(need, Limit) else Hold.LOCK for task, need in refused}
    Task.objects.filter(pk__in=holds, status__unindexed__in=MOVES["park"].sources).update(
        status=TaskStatus.PENDING,
        hold=chosen_by_key("hold", holds),
        attempts=F("attempts") - 1,
        version=F("version") + 1,
        queued_at=None,
        started_at=None,
        updated_at=now,
        **NO_LEASE,
    )
    locks.stand_in_line([(task.pk, need, task.rank) for task, need in refused if not isinstance(need, Limit)])
    limit_line.stand_in_line([(task.pk, need, queue, task.rank) for task, need in refused if isinstance(need, Limit)])
    for task, _ in refused:
        task.status = TaskStatus.PENDING
