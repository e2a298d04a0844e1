"""What becomes of slots that passed while nothing released them.

A slot is *missed* when it could not be released within the grace after its moment. Slots that are late by less, as when
another scheduler takes over, are released one by one whatever the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from scheduling.domain.timing import Calendar


class MisfirePolicy(StrEnum):
    """What to do about missed slots."""

    SKIP = "SKIP"
    FIRE_ONCE = "FIRE_ONCE"
    FIRE_ALL = "FIRE_ALL"


@dataclass(frozen=True)
class Leniency:
    """How late a slot may be without being missed, and how many are made up for at most."""

    grace: timedelta
    most: int


def slots_to_run(
    policy: MisfirePolicy, calendar: Calendar, waiting: datetime, now: datetime, leniency: Leniency
) -> list[datetime]:
    """Of the slot that waits and those that have passed since: the ones that are to run, oldest first."""
    in_time = now - leniency.grace
    is_missed = calendar.release_of(waiting) < in_time
    if is_missed and policy is MisfirePolicy.FIRE_ONCE:
        return [waiting]  # for all that is overdue
    overdue = [waiting, *calendar.passed(waiting, now, leniency.most)][-leniency.most :]
    if is_missed and policy is MisfirePolicy.SKIP:
        return [slot for slot in overdue if calendar.release_of(slot) >= in_time]
    return overdue
