"""The Grafana dashboards are what their generator writes, and sound: Grafana itself is not there to refuse them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import ROOT

GRAFANA = ROOT / "docker/grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
DASHBOARDS = [json.loads(path.read_text()) for path in FILES]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BUILT_IN = {"__rate_interval"}

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])


def shown(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_they_are_what_the_generator_writes(tmp_path: Path):
    subprocess.run([sys.executable, "-B", "-m", "generator", str(tmp_path)], cwd=GRAFANA, check=True)

    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in FILES}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS}) == len(DASHBOARDS) == 4


@each_dashboard
def test_ids_are_unique_and_no_two_panels_overlap(dashboard: dict[str, Any]):
    panels = dashboard["panels"]
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in (panel["gridPos"] for panel in panels)
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [pair for pair in combinations(cells, 2) if pair[0] & pair[1]] == []
    assert max(x for place in cells for x, _ in place) == 23


@each_dashboard
def test_every_panel_asks_the_chosen_source_and_is_titled_explained_and_measured(dashboard: dict[str, Any]):
    for panel in shown(dashboard):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == DATASOURCE
        assert panel["targets"] and all(target["datasource"] == DATASOURCE for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@each_dashboard
def test_variables_are_declared_and_chosen_from_the_chosen_source(dashboard: dict[str, Any]):
    declared = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    used = {
        name
        for panel in shown(dashboard)
        for target in panel["targets"]
        for name in re.findall(r"\$(\w+)", target["expr"])
    }

    assert declared["datasource"]["query"] == "prometheus"
    assert used - BUILT_IN == declared.keys() - {"datasource"}
    assert all(each["datasource"] == DATASOURCE for name, each in declared.items() if name != "datasource")


@each_dashboard
def test_nothing_names_a_host(dashboard: dict[str, Any]):
    assert re.findall(r"://|localhost|\b\d+\.\d+\.\d+\.\d+\b", json.dumps(dashboard)) == []
