"""DTQ's drain rate while many tasks wait: whether a long line slows down its front.

Each length of the line has a database and a Redis database of its own, filled once by `enqueue_many`; before every
sample it is filled up, so that the line is as long as the case says when the last task of the sample has run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.figures import number, spread, table, times
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ

_STARTING_SHARE = 10


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    if DTQ not in systems:
        return {}
    return {
        f"{depth:,}": partial(_drain, stage.installation(DTQ, f"with {depth:,} waiting"), depth, scale.drain_of_depth)
        for depth in scale.depths
    }


def _drain(installation: Installation, depth: int, count: int) -> Sample:
    with installation.in_service():
        installation.ask("create_many", count=depth + count - installation.ask("waiting"))
        installation.counter.reset()
        with installation.working():
            installation.counter.wait_for(count)
    return {"per_second": installation.counter.rate(count // _STARTING_SHARE, count)}


def _section(samples: Samples) -> str:
    spreads = {label: spread(sample["per_second"] for sample in of_case) for label, of_case in samples.items()}
    shortest = next(iter(spreads.values()))
    rows = [
        [label, *map(number, (rate.least, rate.median, rate.most)), times(rate.median / shortest.median)]
        for label, rate in spreads.items()
    ]
    return table(["tasks waiting; drain, tasks/s", "least", "median", "most", "against the shortest line"], rows)


WAITING = Measure(_cases, _section)
