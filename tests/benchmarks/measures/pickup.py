"""How long an idle worker takes to begin a task: from the call that creates it to the handler's first line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from tests.benchmarks.figures import number, percentile, spread, table
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.2
SHARES = (0.5, 0.95, 0.99, 1.0)


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    return {
        system.title: partial(_pick_up, stage.installation(system), scale.pickups, seeds=count(1)) for system in systems
    }


def _pick_up(installation: Installation, tasks: int, seeds: count[int]) -> Sample:
    installation.clear()
    with installation.in_service(), installation.warm_worker():
        latencies = installation.ask(
            "time_arrivals",
            count=tasks,
            seed=next(seeds),
            shortest_seconds=SHORTEST_PAUSE_SECONDS,
            longest_seconds=LONGEST_PAUSE_SECONDS,
        )
    return {"accepted_ms": [after for after, _ in latencies], "called_ms": [whole for _, whole in latencies]}


def all_latencies(of_case: Sequence[Sample], since: str = "accepted_ms") -> list[float]:
    """The latencies of all rounds, in ms, from the return of the creating call or (`called_ms`) from before it."""
    return [latency for sample in of_case for latency in sample[since]]


def _section(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        medians = spread(percentile(sample["accepted_ms"], 0.5) for sample in of_case)
        accepted, called = (
            [number(percentile(all_latencies(of_case, since), share)) for share in SHARES]
            for since in ("accepted_ms", "called_ms")
        )
        rows.append([label, *accepted, f"{number(medians.least)} to {number(medians.most)}", *called[:3]])
    return table(
        ["pickup, ms", "p50", "p95", "p99", "longest", "p50 of the rounds", "with the call: p50", "p95", "p99"], rows
    )


PICKUP = Measure(_cases, _section)
