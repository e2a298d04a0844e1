"""Handlers that cost nothing, for tests of many tasks and of large ones."""

from tasks import task


@task("square")
def square(number: int) -> int:
    """The square of a number."""
    return number * number


@task("weigh")
def weigh(ballast: str) -> int:
    """The length of a text."""
    return len(ballast)
