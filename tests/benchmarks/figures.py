"""Numbers for people: the spread of repeated samples, and tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NONE = "-"


@dataclass(frozen=True)
class Spread:
    """The least, the median and the most of some samples."""

    least: float
    median: float
    most: float


def spread(values: Iterable[float]) -> Spread:
    """How the values lie. There is at least one."""
    ordered = sorted(values)
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of them (0.99 for p99) do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def number(value: float) -> str:
    """Three figures are enough: 12,345, 123, 12.3, 1.23."""
    for least, places in ((100, 0), (10, 1)):
        if abs(value) >= least:
            return f"{value:,.{places}f}"
    return f"{value:.2f}"


def times(ratio: float) -> str:
    """A ratio as a factor: 2.31 x."""
    return f"{number(ratio)} x"


def against(ours: float | None, theirs: float) -> str:
    """Our figure as a multiple of theirs; a dash where we have none."""
    return NONE if ours is None else times(ours / theirs)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
