"""The measures of docs/SCALING.md still measure: small, for their figures mean nothing here."""

from __future__ import annotations

import pytest

from tests.benchmarks import sizing
from tests.support.servers import RedisServer


@pytest.mark.skipif(RedisServer.program is None, reason="this needs the Debian package redis-server")
def test_a_line_of_each_length_is_filled_and_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sizing, "DEPTHS", (200, 500))
    monkeypatch.setattr(sizing, "TAKES", 5)

    heading, _, *rows = sizing.line().splitlines()

    assert heading.startswith("| ready tasks | MiB | bytes each |")
    assert [row.split(" | ")[0] for row in rows] == ["| 200", "| 500"]
    assert all(float(cell.replace(",", "")) > 0 for row in rows for cell in row.strip("| ").split(" | "))


def test_a_measure_that_there_is_not_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]):
    code = sizing.main(["speed"])

    assert code == 2
    assert capsys.readouterr().err == (
        "There is no measure speed; there are line, creation, workers, connections, rows.\n"
    )
