"""Huey with its queue in Redis; nothing is kept of results."""

from __future__ import annotations

import os

from huey import RedisHuey

from tests.benchmarks import counting

huey = RedisHuey("benchmark", url=os.environ["BENCHMARK_REDIS_URL"], results=False)


@huey.task()
def count() -> None:
    """Add one to the counter."""
    counting.count()


@huey.task()
def arrive() -> None:
    """Tell when this began."""
    counting.arrive()


WAYS = {"count()": count}


def create_many(tasks: int) -> None:
    """One after another: `map` does the same."""
    for _ in range(tasks):
        huey.enqueue(count.s())


def create_arrival() -> None:
    """One task that tells when it begins."""
    arrive()


def clear() -> None:
    """Nothing is kept outside of Redis."""


def make_ready() -> None:
    """Nothing has to run beside the worker."""


def waiting() -> int:
    """What is in the queue."""
    return int(huey.pending_count())


def recorded() -> None:
    """No outcome is recorded anywhere."""
