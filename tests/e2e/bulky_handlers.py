"""A handler with a large result."""

from tasks import task


@task("bulky")
def bulky(size: int) -> str:
    """A text of so many characters."""
    return "x" * size
