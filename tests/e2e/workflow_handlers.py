"""A handler that says when it runs and which results it was handed, for tests of workflows."""

from __future__ import annotations

import time

from tasks import TaskContext, chain, task
from tests.e2e.job_handlers import write


@task("node", takes_context=True, max_retries=20)
def node(context: TaskContext, journal: str, word: str, seconds: float = 0.0) -> int:
    """Write when it starts and ends; returns one more than the greatest result of those before it: its depth."""
    write(journal, f"start {word}")
    time.sleep(seconds)
    depth = 1 + max(context.results.values(), default=0)
    write(journal, f"end {word}")
    return depth


@task("async-node", takes_context=True)
async def async_node(context: TaskContext) -> dict[str, int]:
    """Return the results that it was handed."""
    return context.results


@task("bulky")
def bulky(size: int) -> str:
    """Return so much text."""
    return "x" * size


@task("chains", takes_context=True)
def chains(context: TaskContext, journal: str, seconds: float = 0.0) -> None:
    """Create a chain of three nodes, after a while."""
    write(journal, "start chains")
    time.sleep(seconds)
    whatever = node.options(on_dependency_failure="RUN", when_lost="hold")
    steps = [node.task(journal=journal, word="a"), node.task(journal=journal, word="b")]
    chain(*steps, whatever.task(journal=journal, word="c")).enqueue()
    write(journal, "end chains")
