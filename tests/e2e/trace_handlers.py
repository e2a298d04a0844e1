"""Handlers that make tasks, fail, and tell what is loaded where they run."""

from __future__ import annotations

import sys

from tasks import task

GATHERS = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "dtq_site.telemetry")
"""Not all of OpenTelemetry: the client of Redis loads its metrics where it is installed."""


def gathering() -> list[str]:
    """The modules of this process that gather spans."""
    return sorted(name for name in sys.modules if name.startswith(GATHERS))


@task("leaf")
def leaf() -> None:
    """Do nothing."""


@task("parent")
async def parent() -> None:
    """Make a task of another one."""
    leaf.enqueue()


@task("quotes-a-secret", max_retries=0)
def quotes_a_secret(word: str) -> None:
    """Fail with words that are nobody's business."""
    raise LookupError(f"no {word}")


@task("loaded")
def loaded() -> list[str]:
    """What of all that gathers spans is in this process."""
    return gathering()
