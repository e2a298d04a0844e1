"""The memory of a worker, all its processes together: idle, under load, and after many tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.figures import NONE, against, number, spread, table, times
from tests.benchmarks.gauges import PeakMemory, pss_mib
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale, median
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    return {system.title: partial(_weigh, stage.installation(system), scale) for system in systems}


def _weigh(installation: Installation, scale: Scale) -> Sample:
    installation.clear()
    with installation.in_service() as scheduler, installation.warm_worker() as worker:
        time.sleep(scale.rest_seconds)
        idle = pss_mib(worker.members())
        with PeakMemory(worker.members) as under_load:
            installation.ask("create_many", count=scale.load)
            installation.counter.wait_for(scale.load)
        return {
            "processes": len(worker.members()),
            "idle_mib": idle,
            "load_mib": under_load.mib,
            **({"scheduler_mib": pss_mib(scheduler.members())} if scheduler else {}),
        }


def _section(samples: Samples) -> str:
    ours = median(samples, DTQ.title, "idle_mib")
    rows = []
    for label, of_case in samples.items():
        figures = {key: spread(sample[key] for sample in of_case).median for key in of_case[0]}
        beside = number(figures["scheduler_mib"]) if "scheduler_mib" in figures else NONE
        shown = [str(figures["processes"]), number(figures["idle_mib"]), number(figures["load_mib"]), beside]
        rows.append([label, *shown, against(ours, figures["idle_mib"])])
    headings = [
        "memory, MiB (medians)",
        "processes",
        "idle",
        "under load",
        "scheduler beside it",
        "DTQ against it, idle",
    ]
    return table(headings, rows)


# --- after many tasks ----------------------------------------------------------------------------------------------


def _cases_of_growth(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    return {DTQ.title: partial(_grow, stage.installation(DTQ), scale)} if DTQ in systems else {}


def _grow(installation: Installation, scale: Scale) -> Sample:
    """Tasks come in parts as large as the first point, so that the line is never longer than that."""
    part, in_all = scale.growth
    installation.clear()
    with installation.in_service(), installation.warm_worker() as worker:
        for done in range(part, in_all + 1, part):
            installation.ask("create_many", count=part)
            installation.counter.wait_for(done)
            if done == part:
                time.sleep(scale.rest_seconds)
                early = pss_mib(worker.members())
        time.sleep(scale.rest_seconds)
        return {"tasks": [part, in_all], "mib": [early, pss_mib(worker.members())]}


def growth(of_case: Sequence[Sample]) -> float:
    """By what factor memory grew from the first point to the last, the median of the rounds."""
    return spread(sample["mib"][1] / sample["mib"][0] for sample in of_case).median


def _section_of_growth(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        points = [spread(sample["mib"][point] for sample in of_case).median for point in (0, 1)]
        rows.append([label, *map(number, points), times(growth(of_case))])
        early, late = of_case[0]["tasks"]
    return table(["memory, MiB (medians)", f"after {early:,} tasks", f"after {late:,}", "growth"], rows)


MEMORY = Measure(_cases, _section)
GROWTH = Measure(_cases_of_growth, _section_of_growth)
