"""Which limits there are: those of a queue's row, and of a handler what its declaration says or an operator has said.

What is known here is two seconds old at most, so that claims ask for nothing. The only writer of what operators say about
handlers; `queues.py` writes the limits of queues.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Q

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.errors import BadInput
from tasks.announced import declared_defaults
from tasks.domain.limits import NO_CAP, NO_RATE, Limit, Rule, Scope, check_cap
from tasks.domain.rates import check_burst, read_rate
from tasks.models import HandlerLimits, Queue

REMEMBERED_SECONDS = 2.0

Said = tuple[str | None, int | None, int | None]
"""Rate, burst and cap, as they are kept."""

_SILENT: Said = (None, None, None)


@dataclass(frozen=True)
class _Known:
    """What the rows say: the limits of queues that have some, and what was said about handlers."""

    queues: Mapping[str, Rule] = field(default_factory=dict)
    handlers: Mapping[str, Said] = field(default_factory=dict)


_known: tuple[float, _Known] = (float("-inf"), _Known())


def refresh() -> None:
    """Read the rows again if what is known is too old. To be called outside of transactions that must be short."""
    global _known
    if elapsed_clock() - _known[0] <= REMEMBERED_SECONDS:
        return
    read_at = elapsed_clock()
    columns = ("name", "rate_limit", "burst", "concurrency_limit")
    limited = Queue.objects.filter(Q(rate_limit__isnull=False) | Q(concurrency_limit__isnull=False))
    queues = {name: _rule(tuple(said)) for name, *said in limited.values_list(*columns)}
    handlers = {name: tuple(said) for name, *said in HandlerLimits.objects.values_list(*columns)}
    _known = (read_at, _Known(queues, handlers))


def forget_known() -> None:
    """Drop the memory of limits, as after a change that is to hold in this process at once."""
    global _known
    _known = (float("-inf"), _Known())


def of_queue(name: str) -> Rule | None:
    """The limits of a queue; None if it has none."""
    return _known[1].queues.get(name)


def of_handler(name: str) -> Rule | None:
    """The limits of a handler; None if it has none."""
    declared, said = declared_defaults(name, None), _known[1].handlers.get(name, _SILENT)
    if said is _SILENT and declared.rate is None and declared.max_running is None:
        return None
    rule = _rule(said, (declared.rate, declared.burst, declared.max_running), declared.per is not None)
    return rule if rule.kinds else None


def applying_to(queue: str, name: str, key: str | None) -> dict[Limit, Rule]:
    """The limits that a task meets, with the rules that they come from.

    Where the limits of its handler count apart and it has no key, as its payload has none, it meets none of them.
    """
    found: dict[Limit, Rule] = {}
    if (rule := of_queue(queue)) is not None:
        found |= {Limit(kind, Scope.QUEUE, queue): rule for kind in rule.kinds}
    if (rule := of_handler(name)) is not None and not (rule.per_key and key is None):
        own = key if rule.per_key and key is not None else ""
        found |= {Limit(kind, Scope.HANDLER, name, own): rule for kind in rule.kinds}
    return found


def of(limit: Limit) -> Rule | None:
    """The rule that a limit comes from, if there still is one."""
    rule = of_queue(limit.name) if limit.scope is Scope.QUEUE else of_handler(limit.name)
    return rule if rule is not None and limit.kind in rule.kinds else None


@functools.lru_cache(maxsize=1024)
def _rule(said: Said, declared: Said = _SILENT, per_key: bool = False) -> Rule:
    rate, burst, cap = said
    if rate is None:
        rate, burst = declared[0], burst or declared[1]
    cap = declared[2] if cap is None else cap
    return Rule(None if rate in (None, NO_RATE) else read_rate(rate, burst), cap or None, per_key)


# --- what operators say --------------------------------------------------------------------------------------------


def said_about_handlers() -> list[HandlerLimits]:
    """What operators have said, by the names of handlers."""
    return list(HandlerLimits.objects.order_by("name"))


def configure_handler(name: str, changes: Mapping[str, str | int | None]) -> HandlerLimits:
    """Change `rate_limit`, `burst` or `concurrency_limit` of a handler, whose name was checked. Raises BadInput.

    None is what the handler declares; the rate "none" and the cap 0 lift a limit that it declares.
    """
    checked = checked_changes(changes)
    row, _ = HandlerLimits.objects.get_or_create(name=name)
    for column, value in checked.items():
        setattr(row, column, value)
    if row.rate_limit is None and row.burst is None and row.concurrency_limit is None:
        HandlerLimits.objects.filter(name=name).delete()
    else:
        row.save()
    forget_known()
    return row


def checked_changes(changes: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    """What an operator wants of limits, as it is kept. Raises BadInput."""
    if not changes:
        raise BadInput("Give at least one field to change.")
    checked = dict(changes)
    rate, burst, cap = (checked.get(column) for column in ("rate_limit", "burst", "concurrency_limit"))
    if isinstance(rate, str):
        checked["rate_limit"] = NO_RATE if rate.strip().lower() == NO_RATE else str(read_rate(rate))
    if isinstance(burst, int):
        check_burst(burst)
    if isinstance(cap, int) and cap != NO_CAP:
        check_cap(cap)
    return checked
