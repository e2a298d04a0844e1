"""A handler that costs nothing, for tests of many tasks."""

from tasks import task


@task("square")
def square(number: int) -> int:
    """The square of a number."""
    return number * number
