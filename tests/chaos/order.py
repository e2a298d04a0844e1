"""Whether tasks were claimed in order: the highest priority first, then what was ready first, within the stated bounds."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence

from tests.chaos.evidence import Evidence, Row, Verdicts

ARRIVAL_SECONDS = 2.0
"""A ready task is in the index by then: at once, or by the reconciler, which looks at the front of a queue each second."""

OVERTAKING_SECONDS = 2.55
"""By how much a task may be overtaken: the visibility timeout, the look-ahead, and half a second for claims at work."""


def order(evidence: Evidence) -> Verdicts:
    """While nothing is broken, no task is claimed while one ahead of it waits in the same queue, beyond the bounds.

    A task that was ready at r and claimed at c forbids the claim of any behind it from r + ARRIVAL_SECONDS, when it is in
    the index for certain, to c - OVERTAKING_SECONDS.
    """
    lines = defaultdict(list)
    for row in evidence.rows.values():
        if _is_known(row) and _is_calm(row.claimed_at, evidence.calm):
            lines[row.queue].append(row)
    for rows in lines.values():
        rows.sort(key=lambda row: (row.rank, row.task))
        forbidden = _Stretches()
        for row in rows:
            ahead = forbidden.around(row.claimed_at)
            yield f"{row} was claimed while {ahead} was ahead of it" if ahead else None
            forbidden.add(row.queued_at + ARRIVAL_SECONDS, row.claimed_at - OVERTAKING_SECONDS, row.task)


def _is_known(row: Row) -> bool:
    """Whether the row still has the place from which it was claimed: a task that lost its lease after that has another."""
    return row.claimed_at is not None and row.queued_at is not None and row.queued_at <= row.claimed_at


def _is_calm(moment: float, calm: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= moment <= end for begin, end in calm)


class _Stretches:
    """Stretches of time, each with the task it is owed to; none lies within another, so both ends ascend."""

    def __init__(self) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        self._owners: list[str] = []

    def add(self, begin: float, end: float, owner: str) -> None:
        """Add a stretch, unless it is empty or within another; those that it covers go."""
        if begin >= end:
            return
        within = bisect.bisect_right(self._begins, begin)
        if within and self._ends[within - 1] >= end:
            return
        first, last = bisect.bisect_left(self._begins, begin), bisect.bisect_right(self._ends, end)
        for each, value in ((self._begins, begin), (self._ends, end), (self._owners, owner)):
            each[first : max(first, last)] = [value]

    def around(self, moment: float) -> str | None:
        """The owner of a stretch that the moment lies in."""
        index = bisect.bisect_left(self._begins, moment) - 1
        return self._owners[index] if index >= 0 and moment < self._ends[index] else None
