"""Panels of Grafana as values, and the JSON that each kind becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB = 'job="$job"'

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
Steps = Sequence[tuple[float, str]]

UP_OR_DOWN: Mapping[str, tuple[str, str]] = {"0": ("down", RED), "1": ("up", GREEN)}


@dataclass(frozen=True)
class Query:
    """An expression and the name of what it finds. `@` stands for the chosen job."""

    expression: str
    legend: str = ""

    @property
    def promql(self) -> str:
        """The expression as Grafana gets it."""
        return self.expression.replace("@", JOB)


@dataclass(frozen=True)
class Panel:
    """What all kinds have: `steps` are thresholds, each a value and the colour from there on."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int = 12
    height: int = 8
    steps: Steps = ()
    decimals: int | None = None
    lowest: float | None = 0
    highest: float | None = None

    kind = ""
    target_format = "time_series"
    instant = False

    def to_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel at that place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [self._target(index, query) for index, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self.overrides()},
            "options": self.options(),
            **self.more(),
        }

    def _target(self, index: int, query: Query) -> dict[str, Any]:
        return {
            "refId": chr(ord("A") + index),
            "datasource": DATASOURCE,
            "expr": query.promql,
            "legendFormat": query.legend or "__auto",
            "format": self.target_format,
            "instant": self.instant,
            "range": not self.instant,
        }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": GREEN if self.steps else BLUE, "value": None}]
        steps += [{"color": colour, "value": value} for value, colour in self.steps]
        limits = {"min": self.lowest, "max": self.highest, "decimals": self.decimals}
        return {
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": steps},
            **{name: value for name, value in limits.items() if value is not None},
            **self.defaults(),
        }

    def defaults(self) -> dict[str, Any]:
        """What the kind adds to the defaults of its fields."""
        return {}

    def overrides(self) -> list[dict[str, Any]]:
        """What differs for some of the fields."""
        return []

    def options(self) -> dict[str, Any]:
        """How the kind is drawn."""
        return {}

    def more(self) -> dict[str, Any]:
        """What the kind has beside all that."""
        return {}


@dataclass(frozen=True)
class Lines(Panel):
    """Values over time. `colours` fixes those of some series, by their names."""

    stacked: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)

    kind = "timeseries"

    def defaults(self) -> dict[str, Any]:
        """Thin lines; thresholds are drawn where there are any."""
        return {
            "color": {"mode": "palette-classic"},
            "custom": {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 30 if self.stacked else 8,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if self.steps else "off"},
            },
        }

    def overrides(self) -> list[dict[str, Any]]:
        """The fixed colours."""
        return [
            {
                "matcher": {"id": "byName", "options": name},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }
            for name, colour in self.colours.items()
        ]

    def options(self) -> dict[str, Any]:
        """A legend with figures, and all series in one tooltip."""
        return {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max", "lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


@dataclass(frozen=True)
class Figure(Panel):
    """One figure as it is now. `words` says what a value means in place of it."""

    width: int = 4
    height: int = 4
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    kind = "stat"

    def defaults(self) -> dict[str, Any]:
        """The words for values."""
        texts = {value: {"text": text, "color": colour} for value, (text, colour) in self.words.items()}
        return {"mappings": [{"type": "value", "options": texts}] if texts else []}

    def options(self) -> dict[str, Any]:
        """Large; a state fills the field, a figure has its past behind it."""
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background" if self.words else "value",
            "graphMode": "none" if self.words else "area",
            "textMode": "auto",
        }


@dataclass(frozen=True)
class Dial(Panel):
    """A share of a whole as it is now."""

    width: int = 4
    height: int = 4
    lowest: float | None = 0
    highest: float | None = 1

    kind = "gauge"

    def options(self) -> dict[str, Any]:
        """With its thresholds on the rim."""
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showThresholdMarkers": True,
            "showThresholdLabels": False,
        }


@dataclass(frozen=True)
class Heat(Panel):
    """How the observations of a histogram are spread, over time."""

    kind = "heatmap"
    target_format = "heatmap"

    def options(self) -> dict[str, Any]:
        """The buckets are those of the histogram; their bounds have the unit, their colours are counts."""
        return {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
            "yAxis": {"unit": self.unit, "axisPlacement": "left"},
            "tooltip": {"show": True, "yHistogram": True},
            "legend": {"show": True},
        }


@dataclass(frozen=True)
class Table(Panel):
    """One row for each value of a label, a column for each query; `units` are those of columns that are no counts."""

    key: str = ""
    units: Mapping[str, str] = field(default_factory=dict)

    kind = "table"
    target_format = "table"
    instant = True

    def overrides(self) -> list[dict[str, Any]]:
        """The units."""
        return [
            {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
            for name, unit in self.units.items()
        ]

    def options(self) -> dict[str, Any]:
        """The rows in the order of their keys."""
        return {"showHeader": True, "sortBy": [{"displayName": self.key.capitalize(), "desc": False}]}

    def more(self) -> dict[str, Any]:
        """Join the answers, and name the columns by the legends of the queries."""
        columns = {f"Value #{chr(ord('A') + index)}": query.legend for index, query in enumerate(self.queries)}
        naming = {"excludeByName": {"Time": True}, "renameByName": {self.key: self.key.capitalize(), **columns}}
        return {"transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": naming}]}
