"""Handlers with large results."""

import time

from tasks import task


@task("bulky")
def bulky(size: int) -> str:
    """A text of so many characters."""
    return "x" * size


@task("bulky-later")
def bulky_later(size: int, seconds: float) -> str:
    """The same after a while."""
    time.sleep(seconds)
    return "x" * size
