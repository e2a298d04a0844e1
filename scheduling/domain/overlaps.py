"""What becomes of slots that are to run while the task of the slot before still runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OverlapPolicy(StrEnum):
    """What to do while the previous task still runs."""

    ALLOW = "ALLOW"
    SKIP = "SKIP"
    QUEUE_ONE = "QUEUE_ONE"
    CANCEL_PREVIOUS = "CANCEL_PREVIOUS"


@dataclass(frozen=True)
class Firing:
    """What is done about slots that are to run; the slots that it names nowhere make no task."""

    released: tuple[datetime, ...] = ()
    waits: datetime | None = None  # until the task before it has ended
    cancels_previous: bool = False


def decide(policy: OverlapPolicy, slots: Sequence[datetime], previous_runs: bool) -> Firing:
    """What is done about `slots`, oldest first. Under all policies but ALLOW, one task of theirs runs at a time."""
    match policy:
        case OverlapPolicy.ALLOW:
            return Firing(tuple(slots))
        case OverlapPolicy.SKIP:
            return Firing() if previous_runs else Firing(tuple(slots[:1]))
        case OverlapPolicy.CANCEL_PREVIOUS:
            return Firing(tuple(slots[-1:]), cancels_previous=previous_runs and bool(slots))
        case OverlapPolicy.QUEUE_ONE:
            at_once = 0 if previous_runs else 1
            return Firing(tuple(slots[:at_once]), next(iter(slots[at_once:]), None))
