"""Plots of a run, as SVG files: what happened over time, and what each rate came to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.load.names import CREATE, FLOW
from tests.load.swarm import Request, p
from tests.load.watch import Look

_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "dtq",  # the same figures give the same file
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.4,
}
BLUE, ORANGE, RED, GREY = "#2563eb", "#d97706", "#dc2626", "#6b7280"


def over_time(found: dict[str, Any], limit_ms: float, file: Path) -> None:
    """Response times, throughput, errors and the queue, second by second."""
    requests = [Request(*each) for each in found["requests"]]
    looks = [Look(*each) for each in found["looks"]]
    begun = min(requests[0].at, looks[0].at)
    seconds = [
        (second, list(group))
        for second, group in groupby(
            (each for each in requests if each.name != FLOW), key=lambda each: int(each.at - begun)
        )
    ]
    with pyplot.rc_context(_STYLE):
        figure, ((times, rates), (errors, queue)) = pyplot.subplots(2, 2, figsize=(9, 5.4), layout="constrained")
        _plot_times(times, seconds, limit_ms)
        _plot_rates(rates, seconds, looks, begun)
        failed = [sum(bool(each.failure) for each in group) for _, group in seconds]
        errors.plot([second for second, _ in seconds], failed, color=RED)
        errors.set(title="errors a second", xlabel="s", ylim=(0, max(1, *failed)))
        moments = [each.at - begun for each in looks]
        queue.plot(moments, [each.ready for each in looks], color=BLUE, label="ready")
        queue.plot(moments, [each.running for each in looks], color=ORANGE, label="running")
        queue.set(title="tasks in the queue", xlabel="s", ylim=(0, None))
        queue.legend(frameon=False)
        _save(figure, file)


def _plot_times(axes: Axes, seconds: Sequence[tuple[int, list[Request]]], limit_ms: float) -> None:
    for share, colour in ((0.95, ORANGE), (0.5, BLUE)):
        moments, values = [second for second, _ in seconds], [p(share, group) for _, group in seconds]
        axes.plot(moments, values, color=colour, label=f"p{share * 100:g}")
    axes.axhline(limit_ms, color=GREY, linestyle="--", label=f"{limit_ms:g} ms")
    axes.set(title="response times of the API, ms", xlabel="s", yscale="log")
    axes.legend(frameon=False)


def _plot_rates(axes: Axes, seconds: Sequence[tuple[int, list[Request]]], looks: Sequence[Look], begun: float) -> None:
    created = [(second, sum(each.name == CREATE for each in group)) for second, group in seconds]
    axes.plot(*zip(*created, strict=True), color=BLUE, label="created")
    pairs = [(one, other) for one, other in pairwise(looks) if other.at - one.at > 0.5]
    rates = [(other.completed - one.completed) / (other.at - one.at) for one, other in pairs]
    axes.plot([other.at - begun for _, other in pairs], rates, color=ORANGE, label="completed")
    axes.set(title="tasks a second", xlabel="s", ylim=(0, None))
    axes.legend(frameon=False)


def by_rate(steps: Sequence[dict[str, Any]], limit_ms: float, file: Path) -> None:
    """What response times each rate came to."""
    rates = [step["rate"] for step in steps]
    with pyplot.rc_context(_STYLE):
        figure, axes = pyplot.subplots(figsize=(9, 3), layout="constrained")
        for name, colour in (("p99", GREY), ("p95", ORANGE), ("p50", BLUE)):
            axes.plot(rates, [step[name] for step in steps], color=colour, marker="o", markersize=3, label=name)
        axes.axhline(limit_ms, color=RED, linestyle="--", label=f"{limit_ms:g} ms")
        axes.set(title="response times of the API, ms, by tasks a second", xlabel="tasks a second", yscale="log")
        axes.legend(frameon=False)
        _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
