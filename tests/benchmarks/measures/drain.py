"""The drain of waiting no-op tasks by two processes, and what each task costs in CPU time meanwhile.

A tenth of the tasks is left out as start-up: at the first ones a process may still be missing. The rate is that between
two increments of the counter; the CPU time is that from about the first of them until every outcome is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tests.benchmarks.figures import NONE, against, number, spread, table
from tests.benchmarks.gauges import cpu_seconds
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale, median
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ
from tests.support.processes import Process

PARTS = ("worker", "scheduler", "MariaDB", "Redis")
_STARTING_SHARE = 10


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    return {system.title: partial(_drain, stage.installation(system), scale.drain) for system in systems}


def _drain(installation: Installation, count: int) -> Sample:
    installation.clear()
    with installation.in_service() as scheduler:
        installation.ask("create_many", count=count)
        with installation.working() as worker:
            begun_at = installation.counter.wait_for(count // _STARTING_SHARE)
            before = _cpu_by_part(installation, worker, scheduler)
            installation.counter.wait_for(count)
            installation.await_records(count)
            after = _cpu_by_part(installation, worker, scheduler)
    counted = installation.counter.reached()
    assert counted == count, f"{counted:,} executions of {count:,} tasks"
    return {
        "per_second": installation.counter.rate(count // _STARTING_SHARE, count),
        "cpu_us": {part: (after[part] - before[part]) / (count - begun_at) * 1e6 for part in after},
    }


def _cpu_by_part(installation: Installation, worker: Process, scheduler: Process | None) -> dict[str, float]:
    parts = {"worker": worker.members(), **{name: [pid] for name, pid in installation.server_pids.items()}}
    if scheduler is not None:
        parts["scheduler"] = scheduler.members()
    return {part: cpu_seconds(pids) for part, pids in parts.items()}


# --- the page ------------------------------------------------------------------------------------------------------


def _section(samples: Samples) -> str:
    return f"{_rates(samples)}\n\n{_costs(samples)}"


def _rates(samples: Samples) -> str:
    ours = median(samples, DTQ.title, "per_second")
    rows = []
    for label, of_case in samples.items():
        rate = spread(sample["per_second"] for sample in of_case)
        figures = (rate.least, rate.median, rate.most)
        rows.append([label, *map(number, figures), against(ours, rate.median)])
    return table(["drain, tasks/s", "least", "median", "most", "DTQ against it"], rows)


def _costs(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        costs = {
            part: spread(sample["cpu_us"][part] for sample in of_case).median
            for part in PARTS
            if part in of_case[0]["cpu_us"]
        }
        rows.append([label, *_cost_cells(costs), number(sum(costs.values()))])
    return table(["CPU µs a task (medians)", *PARTS, "in all"], rows)


def _cost_cells(costs: Mapping[str, float]) -> list[str]:
    return [number(costs[part]) if part in costs else NONE for part in PARTS]


DRAIN = Measure(_cases, _section)
