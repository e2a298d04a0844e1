"""The harness itself: that it counts, computes and shows what it should. Its figures are not looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import report
from tests.benchmarks.aims import aims_table
from tests.benchmarks.counter import COUNT, TICKS, Counter
from tests.benchmarks.figures import against, number, percentile, spread, table
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import TINY, Measure, Sample, Scale
from tests.benchmarks.registry import MEASURES, SYSTEMS
from tests.benchmarks.runner import take_samples
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ

RATES = [{"per_second": rate} for rate in (90.0, 110.0, 100.0)]


class OneInstallation:
    """A stage with DTQ on the servers of the tests."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def installation(self, system: System, purpose: str = "") -> Installation:
        assert system is DTQ
        return self._installation


@pytest.fixture
def stage(committed_db: None, redis_server: Any, servers: Any, tmp_path: Path) -> Iterator[OneInstallation]:
    """DTQ, ready to be measured."""
    urls = {"database_url": servers.database_url, "redis_url": servers.redis_url}
    installation = Installation(DTQ, **urls, folder=tmp_path / "dtq", server_pids={})
    yield OneInstallation(installation)
    installation.close()


def test_a_drain_counts_every_task_once_and_tells_rate_and_cost(stage: OneInstallation):
    samples = take_samples(MEASURES["drain"], stage, [DTQ], TINY, print)

    (sample,) = samples["DTQ"]
    assert sample["per_second"] > 0
    assert set(sample["cpu_us"]) == {"worker", "scheduler"} and sample["cpu_us"]["worker"] > 0
    assert stage.installation(DTQ).counter.reached() == TINY.drain


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in MEASURES if name != "drain"])
def test_every_measure_samples_dtq_and_shows_it(stage: OneInstallation, name: str):
    samples = take_samples(MEASURES[name], stage, [DTQ], TINY, print)

    assert samples and all(len(of_case) == TINY.rounds for of_case in samples.values())
    assert all(label in report.section(name, samples) for label in samples)


def test_cases_take_turns():
    order = []

    def case(label: str) -> Callable[[], Sample]:
        return lambda: order.append(label) or {"per_second": len(order)}

    measure = Measure(lambda stage, systems, scale: {"a": case("a"), "b": case("b")}, lambda samples: "")

    samples = take_samples(measure, None, [], Scale(rounds=3), lambda line: None)

    assert order == ["a", "b", "a", "b", "a", "b"]
    assert samples == {"a": [{"per_second": n} for n in (1, 3, 5)], "b": [{"per_second": n} for n in (2, 4, 6)]}


def test_the_rate_is_read_between_two_ticks(redis_server: Any):
    redis_server.set(COUNT, 450)
    redis_server.rpush(TICKS, "1 0", "100 1000000000", "300 2500000000", "200 2000000000", "400 3000000000")

    counter = Counter(redis_server)

    assert counter.reached() == 450
    assert counter.rate(40, 450) == 150
    assert counter.rate(1, 400) == 133


def test_figures():
    assert asdict(spread([3, 1, 2, 10])) == {"least": 1, "median": 2.5, "most": 10}
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7], 0.5) == 7
    assert [number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0)] == ["12,346", "123", "12.3", "1.23", "0.00"]
    assert (against(6, 2), against(None, 2)) == ("3.00 x", "-")
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_aims_compare_medians_of_the_same_run_and_pass_over_what_was_not_measured():
    slower = [{"per_second": rate / 20} for rate in (90, 110, 100)]
    results = {"drain": {"DTQ": RATES, "Celery": slower}, "growth": {"DTQ": [{"mib": [100, 106]}]}}

    lines = aims_table(results).splitlines()[2:]

    assert lines == [
        "| drain, against Celery | at least 12.0 x | 20.0 x | yes |",
        "| drain | at least 7,000/s | 100/s | **no** |",
        "| memory of a worker after many tasks against few | at most 1.05 x | 1.06 x | **no** |",
    ]


RUN = {
    "begun": "2030-01-01 12:00 UTC",
    "seconds": 1510.0,
    "scale": asdict(Scale()),
    "machine": {"processor": "2 x Abacus"},
    "versions": {"DTQ": "1", "MariaDB": "10"},
    "samples": {"bulk": {"DTQ": RATES, "Huey": RATES[:1]}},
}


def test_the_page_shows_what_a_run_found_and_says_what_it_left_out():
    page = report.page(RUN)

    assert "2030-01-01 12:00 UTC, which took 25 minutes" in page
    assert "- processor: 2 x Abacus\n\nDTQ 1, MariaDB 10." in page
    assert "| DTQ | 90.0 | 100 | 110 | 1.00 x |\n| Huey | 90.0 | 90.0 | 90.0 | 1.11 x |" in page
    assert page.count("*Not measured in this run.*") == len(MEASURES) - 1
    assert all(f"- **{system.title}.**" in page for system in SYSTEMS.values())


def test_a_part_that_was_measured_again_stands_on_the_page_in_place_of_the_first_one_and_says_so():
    later = {**RUN, "begun": "2030-02-02 12:00 UTC", "versions": {"DTQ": "2"}, "samples": {"bulk": {"DTQ": RATES[:1]}}}

    page = report.page(RUN, later)

    assert "| DTQ | 90.0 | 90.0 | 90.0 | 1.00 x |\n\nMeasured on 2030-02-02 12:00 UTC with DTQ 2." in page
    assert "| DTQ | 90.0 | 100 | 110 |" not in page
    with pytest.raises(ValueError, match=r"The run of 2030-02-02 12:00 UTC was of another scale\."):
        report.page(RUN, {**later, "scale": asdict(TINY)})
