"""Dramatiq, with its default of eight threads a process and with sixteen."""

from __future__ import annotations

from tests.benchmarks.systems import System


def _with_threads(threads: int, title: str, configuration: str, *, only_drained: bool = False) -> System:
    return System(
        title=title,
        only_drained=only_drained,
        application="dramatiq_app",
        worker=(
            *("-m", "dramatiq", "tests.benchmarks.applications.dramatiq_app"),
            *("--processes", "2", "--threads", str(threads)),
        ),
        configuration=configuration,
    )


DRAMATIQ = _with_threads(
    8,
    "Dramatiq",
    "`dramatiq --processes 2 --threads 8`, which is its default of threads, with its default middleware and no result "
    "backend. Tasks are in Redis alone, and nothing is kept of their outcome. In bulk `broker.enqueue` in a loop.",
)
DRAMATIQ_32 = _with_threads(
    16,
    "Dramatiq, 32 threads",
    "The same with 16 threads a process; it takes part in the drain only.",
    only_drained=True,
)
