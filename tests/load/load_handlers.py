"""The handler under load: no work, so that what is measured is DTQ."""

from __future__ import annotations

from tasks import task


@task("load")
def load(number: int) -> int:
    """Return what it was given."""
    return number
