"""A dashboard of Grafana as a value: rows of panels, and the variables by which they choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .panels import DATASOURCE, Panel

COLUMNS = 24
TAG = "dtq"


@dataclass(frozen=True)
class Choice:
    """A variable whose values are those of a label."""

    name: str
    title: str
    metric: str
    several: bool = True

    def to_json(self) -> dict[str, Any]:
        """The variable."""
        query = f"label_values({self.metric}, {self.name})"
        return {
            "name": self.name,
            "label": self.title,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": "values"},
            "refresh": 2,
            "sort": 1,
            "multi": self.several,
            "includeAll": self.several,
            **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if self.several else {}),
        }


JOB_CHOICE = Choice("job", "Installation", "dtq_database_up", several=False)


@dataclass(frozen=True)
class Dashboard:
    """One page: titled rows, each of which breaks into lines as wide as the page."""

    uid: str
    title: str
    description: str
    rows: Sequence[tuple[str, Sequence[Panel]]]
    choices: Sequence[Choice] = ()

    @property
    def file_name(self) -> str:
        """Where it is kept."""
        return f"{self.uid.removeprefix('dtq-')}.json"

    def to_json(self) -> dict[str, Any]:
        """The dashboard as Grafana loads it."""
        return {
            "uid": self.uid,
            "title": f"DTQ: {self.title}",
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 38,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [_LINK],
            "annotations": {"list": [_FIRING]},
            "templating": {"list": [_DATASOURCE_CHOICE, *(each.to_json() for each in (JOB_CHOICE, *self.choices))]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> Iterator[dict[str, Any]]:
        number, y = 0, 0
        for title, panels in self.rows:
            number += 1
            yield _row(number, title, y)
            x, y, tallest = 0, y + 1, 0
            for panel in panels:
                if x + panel.width > COLUMNS:
                    x, y, tallest = 0, y + tallest, 0
                number += 1
                yield panel.to_json(number, x, y)
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


_DATASOURCE_CHOICE = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
    "multi": False,
    "includeAll": False,
}
_LINK = {"title": "DTQ", "type": "dashboards", "tags": [TAG], "asDropdown": True, "keepTime": True, "includeVars": True}
_FIRING = {
    "name": "Alerts",
    "datasource": DATASOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertname=~"DTQ.+", alertstate="firing"}',
    "titleFormat": "{{alertname}}",
    "tagKeys": "queue,duty,instance",
    "step": "1m",
}
