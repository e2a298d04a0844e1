"""How the past is kept for charts: fine while it is young, coarser as it ages. Pure.

A sample holds running totals, so what happened between any two of them is their difference: to make the past coarser, samples
are left out, and no count is lost by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

KEPT = {10: timedelta(hours=2), 60: timedelta(hours=12), 300: timedelta(days=3), 3600: timedelta(days=90)}
"""For how long there is a sample of every so many seconds."""

STEPS = tuple(sorted(KEPT))
LONGEST_SECONDS = int(KEPT[STEPS[-1]].total_seconds())


def step_opened(now: datetime, before: datetime | None) -> int | None:
    """The longest step of which a stretch has begun since the sample before; None if not even the shortest has."""
    return max((step for step in STEPS if before is None or slot(now, step) > slot(before, step)), default=None)


def slot(moment: datetime, step: int) -> int:
    """The number of the stretch in which the moment lies."""
    return int(moment.timestamp()) // step


def step_for(span: timedelta) -> int:
    """The shortest step that is kept for so long."""
    return next((step for step in STEPS if KEPT[step] >= span), STEPS[-1])


def quantile(share: float, counts: Sequence[float], bounds: Sequence[float]) -> float | None:
    """The value that `share` of the observations do not exceed, as far as the buckets of a histogram tell; None for none.

    `counts` has one more bucket than there are upper `bounds`, for all that is beyond; what lies there counts as the last bound.
    Within a bucket the observations are taken to be spread evenly.
    """
    running = list(accumulate(counts))
    if not running or running[-1] <= 0:
        return None
    wanted = share * running[-1]
    index = next(index for index, total in enumerate(running) if total >= wanted and counts[index] > 0)
    if index == len(bounds):
        return bounds[-1]
    low = bounds[index - 1] if index else 0.0
    return low + (bounds[index] - low) * (wanted - (running[index] - counts[index])) / counts[index]
