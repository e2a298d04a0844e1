"""Creating tasks from Python: one by one, and in bulk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.figures import Spread, against, number, spread, table
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale, median
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ

_WARMING = 100


def _cases_of_singles(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    cases = {}
    for system in systems:
        installation = stage.installation(system)
        for way in installation.ask("ways"):
            cases[f"{system.title}: {way}"] = partial(_create_singly, installation, way, scale.singles)
    return cases


def _create_singly(installation: Installation, way: str, count: int) -> Sample:
    installation.clear()
    with installation.in_service():
        installation.ask("create", way=way, count=min(_WARMING, count))
        seconds = installation.ask("create", way=way, count=count)
    return {"per_second": count / seconds, "ms": seconds / count * 1000}


def _cases_of_bulk(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    return {system.title: partial(_create_in_bulk, stage.installation(system), scale.bulk) for system in systems}


def _create_in_bulk(installation: Installation, count: int) -> Sample:
    installation.clear()
    with installation.in_service():
        installation.ask("create_many", count=min(_WARMING, count))
        seconds = installation.ask("create_many", count=count)
        waiting = installation.ask("waiting")
    assert waiting == count + min(_WARMING, count), f"{waiting:,} tasks wait in Redis after {count:,} were created"
    return {"per_second": count / seconds}


# --- the page ------------------------------------------------------------------------------------------------------


def _section_of_singles(samples: Samples) -> str:
    ours = median(samples, f"{DTQ.title}: count.enqueue()", "per_second")
    rows = []
    for label, of_case in samples.items():
        rate = spread(sample["per_second"] for sample in of_case)
        milliseconds = spread(sample["ms"] for sample in of_case)
        rows.append([label, *_cells(rate, ours), number(milliseconds.median)])
    return table(["one by one, tasks/s", "least", "median", "most", "DTQ against it", "median ms"], rows)


def _section_of_bulk(samples: Samples) -> str:
    ours = median(samples, DTQ.title, "per_second")
    rows = [
        [label, *_cells(spread(sample["per_second"] for sample in of_case), ours)] for label, of_case in samples.items()
    ]
    return table(["in bulk, tasks/s", "least", "median", "most", "DTQ against it"], rows)


def _cells(rate: Spread, ours: float | None) -> list[str]:
    return [number(rate.least), number(rate.median), number(rate.most), against(ours, rate.median)]


SINGLE = Measure(_cases_of_singles, _section_of_singles)
BULK = Measure(_cases_of_bulk, _section_of_bulk)
