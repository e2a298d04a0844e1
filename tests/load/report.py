"""The report of a run: a page in Markdown, and its plots beside it. The words around the figures are in page.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from tests.benchmarks.figures import number, table
from tests.benchmarks.place import ROOT
from tests.load import plots
from tests.load.installation import DESCRIPTION
from tests.load.names import FLOW

PAGE = ROOT / "docs" / "LOAD.md"
_TEMPLATE = Path(__file__).with_name("page.md")
_QUANTILES = ("requests", "failures", "p50", "p95", "p99")


def write(run: Mapping[str, Any], page: Path, plots_folder: Path) -> None:
    """Write the page and the plots of a run of all scenarios."""
    plots_folder.mkdir(exist_ok=True)
    found, scale = run["found"], run["scale"]
    for name, each in found.items():
        plots.over_time(each, scale["limit_ms"], plots_folder / f"{name}.svg")
    steps = found["capacity"]["figures"]["steps"]
    plots.by_rate(steps, scale["limit_ms"], plots_folder / "rates.svg")
    page.write_text(_text(run, plots_folder.name))


def _text(run: Mapping[str, Any], plots_folder: str) -> str:
    figures = {name: each["figures"] for name, each in run["found"].items()}
    return Template(_TEMPLATE.read_text()).substitute(
        plots=plots_folder,
        begun=run["begun"],
        minutes=f"{run['seconds'] / 60:.0f}",
        dtq=run["dtq"],
        installation=DESCRIPTION,
        machine="\n".join(f"- {name}: {value}" for name, value in run["machine"].items()),
        claims=_claims(figures, run["scale"]["limit_ms"]),
        **{f"scale_{name}": f"{value:,g}" for name, value in run["scale"].items()},
        followed=table(["", *_QUANTILES], [_row(FLOW, figures["followed"])]),
        throughput=table(["", *_QUANTILES], [_row("createTask", figures["throughput"])]),
        throughput_created=number(figures["throughput"]["created_per_minute"]),
        throughput_completed=number(figures["throughput"]["completed_per_minute"]),
        throughput_deepest=f"{figures['throughput']['deepest']:,.0f}",
        steady=table(
            ["", *_QUANTILES],
            [*(_row(*each) for each in figures["steady"]["kinds"].items()), _row("all", figures["steady"])],
        ),
        stored=f"{figures['steady']['stored']:,.0f}",
        stored_seconds=f"{figures['steady']['stored_seconds']:.0f}",
        capacity=table(["tasks a second", "reached", *_QUANTILES, "kept"], map(_step, figures["capacity"]["steps"])),
        highest=figures["capacity"]["highest"],
    )


def _claims(figures: Mapping[str, Any], limit_ms: float) -> str:
    followed, throughput, steady, capacity = (
        figures[name] for name in ("followed", "throughput", "steady", "capacity")
    )
    ended = followed["followed"] - followed["not_completed"]
    rows = [
        [
            "1,000 tasks created over the API and followed to the end",
            f"{ended:,} of {followed['followed']:,} completed",
        ],
        [
            "1000+ tasks a minute",
            f"{number(throughput['created_per_minute'])} created, {number(throughput['completed_per_minute'])} completed",
        ],
        [
            "about 50 tasks a second, P95 under 200 ms",
            f"{number(steady['per_second'])} a second, P95 {number(steady['p95'])} ms",
        ],
        ["tested with 100,000+ tasks", f"{steady['in_all']:,.0f} in the database at the end of that"],
        [f"the highest rate with P95 under {limit_ms:g} ms", f"{capacity['highest']} tasks a second"],
    ]
    return "\n".join(["| claim | seen |", "| --- | --- |", *(f"| {claim} | {seen} |" for claim, seen in rows)])


def _row(label: str, figures: Mapping[str, Any]) -> list[str]:
    counts = [f"{figures[name]:,}" for name in ("requests", "failures")]
    return [label, *counts, *(number(figures[name]) for name in ("p50", "p95", "p99"))]


def _step(step: Mapping[str, Any]) -> list[str]:
    return [str(step["rate"]), number(step["per_second"]), *_row("", step)[1:], "yes" if step["kept"] else "**no**"]
