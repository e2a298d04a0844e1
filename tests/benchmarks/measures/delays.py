"""How late tasks begin that were made to wait until a moment, what those cost that wait for long, and what a flood does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.figures import number, percentile, spread, table
from tests.benchmarks.gauges import pss_mib
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ
from tests.support.processes import Process
from tests.support.waiting import eventually

SPREAD = "due one after the other"
BESIDE_MANY = "the same beside those due tomorrow"
FLOOD = "due in one second"

_SHARES = (0.5, 0.95, 0.99, 1.0)
_CREATED_A_SECOND = 2_000
_DAY = 86_400
_OTHERS_A_SECOND, _OTHERS_SECONDS = 20, 20


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    if DTQ not in systems:
        return {}
    few, many = stage.installation(DTQ, "delays"), stage.installation(DTQ, f"with {scale.delayed:,} delayed")
    return {
        SPREAD: partial(_spread, few, scale, 0),
        BESIDE_MANY: partial(_spread, many, scale, scale.delayed),
        FLOOD: partial(_flood, few, scale),
    }


def _spread(installation: Installation, scale: Scale, delayed: int) -> Sample:
    """Tasks that are due evenly over a while, `delayed` others waiting behind them."""
    if not delayed:
        installation.clear()
    elif missing := delayed - installation.ask("delayed"):
        _create_due(installation, missing, installation.ask("moment", in_seconds=_DAY), _DAY)
    with installation.in_service() as scheduler, installation.warm_worker() as worker:
        time.sleep(scale.rest_seconds)
        memory = _memory(installation, scheduler, worker)
        first = _moment_after_creation(installation, scale.timed)
        _create_due(installation, scale.timed, first, scale.timed_seconds)
        installation.counter.wait_for(scale.timed)
        return {"late_ms": installation.ask("late_ms", queue="default", first=first), **memory}


def _memory(installation: Installation, scheduler: Process | None, worker: Process) -> dict[str, float]:
    assert scheduler is not None
    return {
        "worker_mib": pss_mib(worker.members()),
        "scheduler_mib": pss_mib(scheduler.members()),
        "redis_kib": installation.redis_kib(),
    }


def _flood(installation: Installation, scale: Scale) -> Sample:
    """Very many tasks of one queue that are due at once and that nobody runs, and a few of another queue that a worker does."""
    others = min(_OTHERS_A_SECOND * _OTHERS_SECONDS, scale.due_at_once)
    installation.clear()
    with installation.in_service(), installation.warm_worker():
        first = _moment_after_creation(installation, scale.due_at_once)
        _create_due(installation, scale.due_at_once, first, 1, name="nobody", queue="flood")
        _create_due(installation, others, first, others / _OTHERS_A_SECOND)
        installation.counter.wait_for(others)
        eventually(lambda: not installation.ask("delayed"), 120, every_seconds=0.5)
        return {
            "seconds": installation.ask("all_ready_after_seconds", queue="flood", first=first),
            "others_late_ms": installation.ask("late_ms", queue="default", first=first),
        }


def _moment_after_creation(installation: Installation, count: int) -> str:
    return str(installation.ask("moment", in_seconds=2 + count / _CREATED_A_SECOND))


def _create_due(
    installation: Installation, count: int, first: str, seconds: float, *, name: str = "count", queue: str = "default"
) -> None:
    installation.ask("create_due", count=count, first=first, within_seconds=seconds, name=name, queue=queue)


# --- the page ------------------------------------------------------------------------------------------------------


def all_late(of_case: Sequence[Sample], key: str = "late_ms") -> list[float]:
    """How late the tasks of all rounds began, in ms after their moments."""
    return [late for sample in of_case for late in sample[key]]


def slowest_flood(samples: Samples) -> float:
    """In how many seconds a flood was ready, the longest of the rounds."""
    return max(sample["seconds"] for sample in samples[FLOOD])


def _section(samples: Samples) -> str:
    return "\n\n".join(part(samples) for part in (_lateness, _memory_beside, _flood_rate))


def _lateness(samples: Samples) -> str:
    rows = [
        [label, *(number(percentile(all_late(samples[label], key), share)) for share in _SHARES)]
        for label, key in ((SPREAD, "late_ms"), (BESIDE_MANY, "late_ms"), (FLOOD, "others_late_ms"))
    ]
    rows[-1][0] += ": the tasks of another queue"
    return table(["begun after their moment, ms", "p50", "p95", "p99", "longest"], rows)


def _memory_beside(samples: Samples) -> str:
    keys = ("worker_mib", "scheduler_mib", "redis_kib")
    rows = [
        [label, *(number(spread(sample[key] for sample in samples[label]).median) for key in keys)]
        for label in (SPREAD, BESIDE_MANY)
    ]
    return table(["memory before they are due (medians)", "worker, MiB", "scheduler, MiB", "in Redis, KiB"], rows)


def _flood_rate(samples: Samples) -> str:
    seconds = spread(sample["seconds"] for sample in samples[FLOOD])
    row = [FLOOD, *map(number, (seconds.least, seconds.median, seconds.most))]
    return table(["all ready after, s", "least", "median", "most"], [row])


DELAYS = Measure(_cases, _section)
