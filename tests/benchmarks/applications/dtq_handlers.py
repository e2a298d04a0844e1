"""DTQ's two handlers; workers load this module by DTQ_HANDLERS."""

from __future__ import annotations

from tasks import task
from tests.benchmarks import counting


@task("count")
def count() -> None:
    """Add one to the counter."""
    counting.count()


@task("arrive")
def arrive() -> None:
    """Tell when this began."""
    counting.arrive()
