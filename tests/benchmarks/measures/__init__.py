"""What is measured, one file a measure, each with its cases and with the section of the page that shows them.

A case is one thing to be sampled, such as a system; the runner takes one sample of every case, then the next of every
case, so that what else the machine does meets all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.figures import spread
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System

Sample = dict[str, Any]
Samples = Mapping[str, Sequence[Sample]]
"""The samples of one measure by case."""


def median(samples: Samples, case: str, key: str) -> float | None:
    """The median of one figure of a case; None if the case was not measured."""
    return spread(sample[key] for sample in samples[case]).median if case in samples else None


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    rounds: int = 3
    singles: int = 2_000
    bulk: int = 10_000
    drain: int = 15_000
    remote_drain: int = 5_000
    pickups: int = 100
    load: int = 10_000
    growth: tuple[int, int] = (20_000, 200_000)
    depths: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    drain_of_depth: int = 10_000
    api_requests: int = 2_000
    api_bulk_calls: int = 20
    api_rows: int = 1_000_000
    followers: int = 1_000
    watchers: int = 100
    follow_seconds: int = 15
    timed: int = 10_000
    timed_seconds: int = 60
    delayed: int = 1_000_000
    due_at_once: int = 100_000
    rest_seconds: float = 3.0


TINY = Scale(
    rounds=1,
    singles=20,
    bulk=100,
    drain=400,
    remote_drain=200,
    pickups=5,
    load=200,
    growth=(200, 400),
    depths=(100,),
    drain_of_depth=400,
    api_requests=40,
    api_bulk_calls=2,
    api_rows=200,
    followers=20,
    watchers=5,
    follow_seconds=1,
    timed=40,
    timed_seconds=2,
    delayed=100,
    due_at_once=300,
    rest_seconds=0.1,
)
"""Enough to see that everything works; its figures mean nothing."""


@dataclass(frozen=True)
class Measure:
    """One measure: what can be sampled of these systems, and how the samples are shown."""

    cases: Callable[[Stage, Sequence[System], Scale], dict[str, Callable[[], Sample]]]
    section: Callable[[Samples], str]
