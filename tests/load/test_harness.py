"""The harness itself: that its users do what they should, and that its report shows what they found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.load import report
from tests.load.__main__ import carry_out
from tests.load.installation import Installation
from tests.load.names import CREATE, FLOW
from tests.load.scale import TINY, Scale
from tests.load.scenarios import climb, step
from tests.load.swarm import Request


@pytest.mark.long
@pytest.mark.parametrize("scenarios", [["followed"], ["throughput", "steady", "capacity"]], ids=len)
def test_users_find_every_task_completed(
    committed_db: None, redis_server: Any, servers: Any, tmp_path: Path, scenarios: list[str]
):
    installation = Installation(servers.database_url, servers.redis_url, tmp_path / "dtq")

    run = carry_out(installation, scenarios, TINY, tmp_path / "report")

    for found in run["found"].values():
        names = Counter(name for _, name, _, failure in found["requests"] if not failure)
        assert names[CREATE] > 0 and sum(names.values()) == len(found["requests"])
        assert found["looks"][-1][1:3] == (0, 0)
    if "followed" in scenarios:
        requests, looks = run["found"]["followed"]["requests"], run["found"]["followed"]["looks"]
        assert Counter(name for _, name, _, _ in requests)[FLOW] == TINY.followed
        assert looks[-1][3] - looks[0][3] == TINY.followed
        assert (tmp_path / "report" / "followed.html").exists()


def answered(per_second: int, milliseconds: float, failure: str = "") -> list[Request]:
    """Four seconds of creations, one of which may have failed."""
    moments = [number / per_second for number in range(4 * per_second)]
    return [Request(0.0, CREATE, milliseconds, failure), *(Request(at, CREATE, milliseconds, "") for at in moments)]


@pytest.mark.parametrize(
    ("requests", "kept"),
    [
        (answered(20, 199.0), True),
        (answered(20, 200.0), False),
        (answered(20, 199.0, "refused"), False),
        (answered(18, 199.0), False),
    ],
    ids=["kept", "too slow", "with a failure", "not reached"],
)
def test_a_rate_is_kept_if_it_is_reached_answered_in_time_and_without_failures(requests: list[Request], kept: bool):
    assert step(20, requests, limit_ms=200.0)["kept"] is kept


def test_the_rate_is_raised_until_it_is_not_kept():
    steps = climb([10, 20, 30, 40, 50], lambda rate: {"rate": rate, "kept": rate < 30})

    assert [each["rate"] for each in steps] == [10, 20, 30]


QUANTILES = {"requests": 12345, "failures": 1, "p50": 1.0, "p95": 23.0, "p99": 4567.0}
STEP = {"rate": 100, "per_second": 99.5, "kept": True, **QUANTILES}
FIGURES = {
    "followed": {"followed": 1000, "not_completed": 1, "per_minute": 60, **QUANTILES},
    "throughput": {"created_per_minute": 9000, "completed_per_minute": 8999, "deepest": 7, **QUANTILES},
    "steady": {
        "stored": 101_000,
        "stored_seconds": 30,
        "per_second": 49.9,
        "in_all": 107_000,
        **QUANTILES,
        "kinds": {CREATE: QUANTILES},
    },
    "capacity": {"steps": [STEP, {**STEP, "rate": 150, "kept": False}], "highest": 100},
}
REQUESTS = [(100.0, CREATE, 5.0, ""), (101.2, CREATE, 6.0, "refused"), (100.0, FLOW, 9.0, "")]
LOOKS = [(100.0, 0, 0, 5), (101.0, 1, 1, 7)]
RUN = {
    "begun": "2030-01-01 12:00 UTC",
    "dtq": "1 (abc)",
    "seconds": 90.0,
    "machine": {"processor": "2 x Abacus"},
    "scale": asdict(Scale()),
    "found": {name: {"figures": figures, "requests": REQUESTS, "looks": LOOKS} for name, figures in FIGURES.items()},
}


def test_the_report_shows_what_a_run_found_with_its_plots_and_is_the_same_each_time(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"

    for folder in (first, second):
        folder.mkdir()
        report.write(RUN, folder / "LOAD.md", folder / "load")

    page = (first / "LOAD.md").read_text()
    assert "Seen on 2030-01-01 12:00 UTC with DTQ 1 (abc), in one run of 2 minutes" in page
    assert "| 1,000 tasks created over the API and followed to the end | 999 of 1,000 completed |" in page
    assert "| about 50 tasks a second, P95 under 200 ms | 49.9 a second, P95 23.0 ms |" in page
    assert "| tested with 100,000+ tasks | 107,000 in the database at the end of that |" in page
    assert "| createTask | 12,345 | 1 | 1.00 | 23.0 | 4,567 |" in page
    assert "| 150 | 99.5 | 12,345 | 1 | 1.00 | 23.0 | 4,567 | **no** |" in page
    assert "$" not in page
    drawn = {plot.name: plot.read_text() for plot in (first / "load").iterdir()}
    assert set(drawn) == {"followed.svg", "throughput.svg", "steady.svg", "capacity.svg", "rates.svg"}
    assert all(f"](load/{name})" in page for name in drawn)
    assert "errors a second" in drawn["steady.svg"] and "p99" in drawn["rates.svg"]
    assert (second / "LOAD.md").read_text() == page
    assert {plot.name: plot.read_text() for plot in (second / "load").iterdir()} == drawn
