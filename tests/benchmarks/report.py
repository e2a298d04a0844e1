"""Turns the results of a run into the page docs/BENCHMARKS.md; the words around the tables are in page.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from tests.benchmarks.aims import aims_table
from tests.benchmarks.place import ROOT
from tests.benchmarks.registry import MEASURES, SYSTEMS

PAGE = ROOT / "docs" / "BENCHMARKS.md"
_TEMPLATE = Path(__file__).with_name("page.md")
_MISSING = "*Not measured in this run.*"


def section(name: str, samples: Mapping[str, Any]) -> str:
    """The tables of one measure."""
    return MEASURES[name].section(samples) if samples else _MISSING


def page(run: Mapping[str, Any], *later: Mapping[str, Any]) -> str:
    """The whole page. What later runs of the same scale have measured anew stands in place of the first one's, and says so.

    Raises ValueError for a run of another scale.
    """
    samples, scale = dict(run["samples"]), dict(run["scale"])
    sections = {name: section(name, samples.get(name, {})) for name in MEASURES}
    for other in later:
        if any(other["scale"].get(name, count) != count for name, count in scale.items()):
            raise ValueError(f"The run of {other['begun']} was of another scale.")
        scale |= other["scale"]
        samples |= other["samples"]
        said = f"Measured on {other['begun']} with DTQ {other['versions']['DTQ']}."
        sections |= {name: f"{section(name, found)}\n\n{said}" for name, found in other["samples"].items()}
    counts = {name: f"{value:,}" for name, value in scale.items() if isinstance(value, int)}
    return Template(_TEMPLATE.read_text()).substitute(
        **{f"table_{name}": text for name, text in sections.items()},
        **{f"scale_{name}": text for name, text in counts.items()},
        aims=aims_table(samples),
        begun=run["begun"],
        minutes=round(run["seconds"] / 60),
        machine=_list(run["machine"]),
        versions=", ".join(f"{name} {version}" for name, version in run["versions"].items()),
        systems="\n".join(f"- **{system.title}.** {system.configuration}" for system in SYSTEMS.values()),
    )


def _list(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())
