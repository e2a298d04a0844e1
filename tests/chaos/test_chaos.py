"""A short run of the whole installation under fire; `make chaos` makes longer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cluster import Shape
from tests.chaos.plan import FaultKind
from tests.chaos.run import Run, carry_out
from tests.support.processes import holding_processes


@pytest.mark.timeout(240)
def test_every_promise_is_kept_under_fire(request: pytest.FixtureRequest, tmp_path: Path):
    if request.config.getoption("backing") != "mariadb":
        pytest.skip("kills and cuts off the servers that --backing=mariadb needs: MariaDB and Redis")

    report = carry_out(Run(seed=7, tasks=300, seconds=12.0, shape=Shape()), tmp_path / "run", print)

    assert report.violations == []
    assert {fault.kind for fault in report.plan} == set(FaultKind)
    unjudged = [finding.rule for finding in report.findings if finding.judged == 0]
    assert unjudged == []
    assert holding_processes(tmp_path) == {}
