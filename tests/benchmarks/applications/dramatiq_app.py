"""Dramatiq with its broker in Redis and its default middleware; it keeps no results."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks import counting

broker = RedisBroker(url=os.environ["BENCHMARK_REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def count() -> None:
    """Add one to the counter."""
    counting.count()


@dramatiq.actor
def arrive() -> None:
    """Tell when this began."""
    counting.arrive()


WAYS = {"count.send()": count.send}


def create_many(tasks: int) -> None:
    """One message after another: a group does the same, and there is no pipeline."""
    for _ in range(tasks):
        broker.enqueue(count.message())


def create_arrival() -> None:
    """One task that tells when it begins."""
    arrive.send()


def clear() -> None:
    """Nothing is kept outside of Redis."""


def make_ready() -> None:
    """Nothing has to run beside the worker."""


def waiting() -> int:
    """What is in the list of the default queue."""
    return int(counting.client.llen("dramatiq:default"))


def recorded() -> None:
    """No outcome is recorded anywhere."""
