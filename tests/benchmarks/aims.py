"""What DTQ aims at, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.benchmarks.figures import number, percentile, spread, table, times
from tests.benchmarks.measures import Samples, api, delays, remote
from tests.benchmarks.measures.following import slowest_p95
from tests.benchmarks.measures.memory import growth
from tests.benchmarks.measures.pickup import all_latencies
from tests.benchmarks.systems.celery_ import CELERY, CELERY_KEEPING
from tests.benchmarks.systems.dramatiq_ import DRAMATIQ, DRAMATIQ_32
from tests.benchmarks.systems.dtq import DTQ
from tests.benchmarks.systems.huey_ import HUEY

Results = Mapping[str, Samples]


@dataclass(frozen=True)
class Aim:
    """One figure of a run and the bound that it should keep."""

    measure: str
    title: str
    bound: float
    at_least: bool
    figure: Callable[[Samples], float]
    show: Callable[[float], str] = times

    def row(self, samples: Samples) -> list[str]:
        """Its row of the table. Raises KeyError if a case that it needs was not measured."""
        reached = self.figure(samples)
        met = reached >= self.bound if self.at_least else reached <= self.bound
        bound = f"{'at least' if self.at_least else 'at most'} {self.show(self.bound)}"
        return [self.title, bound, self.show(reached), "yes" if met else "**no**"]


def _rate(samples: Samples, label: str) -> float:
    return spread(sample["per_second"] for sample in samples[label]).median


def _against(samples: Samples, labels: Iterable[str]) -> float:
    return _rate(samples, DTQ.title) / max(_rate(samples, label) for label in labels)


def _against_bare_row(way: str) -> Callable[[Samples], float]:
    return lambda samples: (
        _rate(samples, f"{DTQ.title}: only the row: {way}") / _rate(samples, f"{DTQ.title}: count.enqueue()")
    )


def _pickup(share: float) -> Callable[[Samples], float]:
    return lambda samples: percentile(all_latencies(samples[DTQ.title]), share)


def _longest_line_against_shortest(samples: Samples) -> float:
    labels = list(samples)
    return _rate(samples, labels[-1]) / _rate(samples, labels[0])


def _against_stock_view(samples: Samples) -> float:
    return _rate(samples, api.CREATE) / _rate(samples, api.CREATE_BY_STOCK_VIEW)


def _p95_of(label: str) -> Callable[[Samples], float]:
    return lambda samples: spread(sample["p95"] for sample in samples[label]).median


def _late(label: str, key: str = "late_ms") -> Callable[[Samples], float]:
    return lambda samples: percentile(delays.all_late(samples[label], key), 0.99)


def _milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def _seconds(value: float) -> str:
    return f"{number(value)} s"


def _per_second(value: float) -> str:
    return f"{number(value)}/s"


_REDIS_ONLY = (DRAMATIQ.title, DRAMATIQ_32.title, HUEY.title)
_PEERS = (CELERY.title, DRAMATIQ.title, HUEY.title)
AIMS = (
    Aim("drain", "drain, against Celery", 12, True, lambda samples: _against(samples, [CELERY.title])),
    Aim("drain", "drain, against Celery with connections kept", 12, True, lambda s: _against(s, [CELERY_KEEPING.title])),
    Aim("drain", "drain, against the fastest of Dramatiq and Huey", 1, True, lambda s: _against(s, _REDIS_ONLY)),
    Aim("drain", "drain", 7000, True, lambda samples: _rate(samples, DTQ.title), _per_second),
    Aim("bulk", "bulk creation, against the fastest peer", 1, True, lambda samples: _against(samples, _PEERS)),
    Aim("bulk", "bulk creation", 10_000, True, lambda samples: _rate(samples, DTQ.title), _per_second),
    Aim("single", "single creation, its time against `Task.objects.create()`", 1.5, False,
        _against_bare_row("Task.objects.create()")),
    Aim("pickup", "pickup by an idle worker, p50", 4, False, _pickup(0.5), _milliseconds),
    Aim("pickup", "pickup by an idle worker, p99", 15, False, _pickup(0.99), _milliseconds),
    Aim("waiting", "drain rate with the longest line against the shortest", 0.8, True, _longest_line_against_shortest),
    Aim("delays", "a task begins after its moment, p99", 250, False, _late(delays.SPREAD), _milliseconds),
    Aim("delays", "the same beside many that are due tomorrow, p99", 250, False, _late(delays.BESIDE_MANY), _milliseconds),
    Aim("delays", "very many due in one second are ready after, at most", 20, False, delays.slowest_flood, _seconds),
    Aim("delays", "meanwhile a task of another queue begins after its moment, p99", 1_000, False,
        _late(delays.FLOOD, "others_late_ms"), _milliseconds),
    Aim("api", "`createTask` over HTTP, against graphene-django's own view", 3, True, _against_stock_view),
    Aim("api", "`createTask` over HTTP, 16 connections and two threads, p95", 50, False,
        _p95_of(api.CREATE_ON_TWO_THREADS), _milliseconds),
    Aim("api", "`createTasks` of 500 over HTTP", 5_000, True, lambda s: _rate(s, api.CREATE_MANY), _per_second),
    Aim("api", "`tasks(limit: 50)` among 1,000,000 rows, p95", 50, False, _p95_of(api.LIST), _milliseconds),
    Aim("growth", "memory of a worker after many tasks against few", 1.05, False, lambda s: growth(s[DTQ.title])),
    Aim("remote", "drain of a remote worker over HTTP", 1_000, True, lambda s: _rate(s, remote.DRAIN), _per_second),
    Aim("remote", "a task begun by an idle remote worker, p95", 150, False, lambda s: remote.pickup_p95(s[remote.PICKUP]),
        _milliseconds),
    Aim("following", "a change shown to its followers, p95", 150, False, slowest_p95, _milliseconds),
)  # fmt: skip


def aims_table(results: Results) -> str:
    """Those aims whose figures the run has."""
    rows = []
    for aim in AIMS:
        try:
            rows.append(aim.row(results[aim.measure]))
        except KeyError:
            continue
    return table(["aim", "bound", "measured", "met"], rows)
