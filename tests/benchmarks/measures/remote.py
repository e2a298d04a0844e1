"""A remote worker at a Daphne process on the same machine: how fast it drains over HTTP, and how soon it begins when idle.

Its work is that of the other drains, the counter in Redis, of which it knows for the sake of the measure alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from tests.benchmarks.figures import NONE, number, percentile, spread, table
from tests.benchmarks.installation import WARMING_TASKS, Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.measures.pickup import LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ

DRAIN = "drain, leases of a minute"
DRAIN_OFFLINE = "drain, prepared for 4 hours without the server"
PICKUP = "single tasks, an idle worker"

_SERVER = "dtq_site.asgi:application"
_PREPARED = ("--offline-for", "4h", "--prefetch", "100")
_STARTING_SHARE = 10


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    if DTQ not in systems:
        return {}
    installation = stage.installation(DTQ, "remote")
    return {
        DRAIN: partial(_drain, installation, scale.remote_drain),
        DRAIN_OFFLINE: partial(_drain, installation, scale.remote_drain, *_PREPARED),
        PICKUP: partial(_pick_up, installation, scale.pickups, seeds=count(1)),
    }


def _drain(installation: Installation, tasks: int, *options: str) -> Sample:
    installation.clear()
    with installation.in_service(), installation.serving(_SERVER) as port:
        installation.ask("create_many", count=tasks)
        with installation.working_remotely(port, *options):
            installation.counter.wait_for(tasks)
            installation.await_records(tasks)
    counted = installation.counter.reached()
    assert counted == tasks, f"{counted:,} executions of {tasks:,} tasks"
    return {"per_second": installation.counter.rate(tasks // _STARTING_SHARE, tasks)}


def _pick_up(installation: Installation, tasks: int, seeds: count[int]) -> Sample:
    installation.clear()
    with installation.in_service(), installation.serving(_SERVER) as port, installation.working_remotely(port):
        installation.ask("create_many", count=WARMING_TASKS)
        installation.counter.wait_for(WARMING_TASKS)
        installation.await_records(WARMING_TASKS)
        latencies = installation.ask(
            "time_arrivals",
            count=tasks,
            seed=next(seeds),
            shortest_seconds=SHORTEST_PAUSE_SECONDS,
            longest_seconds=LONGEST_PAUSE_SECONDS,
        )
    return {"ms": [after for after, _ in latencies]}


def pickup_p95(of_case: Sequence[Sample]) -> float:
    """Of all rounds together, from the return of the call that creates the task."""
    return percentile([latency for sample in of_case for latency in sample["ms"]], 0.95)


def _section(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        if label == PICKUP:
            latencies = [latency for sample in of_case for latency in sample["ms"]]
            rows.append([label, *[NONE] * 3, *(number(percentile(latencies, share)) for share in (0.5, 0.95, 0.99))])
        else:
            rate = spread(sample["per_second"] for sample in of_case)
            rows.append([label, *map(number, (rate.least, rate.median, rate.most)), *[NONE] * 3])
    return table(["a remote worker", "tasks/s, least", "median", "most", "begun after ms, p50", "p95", "p99"], rows)


REMOTE = Measure(_cases, _section)
