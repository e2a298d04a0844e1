"""The work of every benchmarked task: one Redis counter, the same client in every system.

The counter leaves a tick at its first increment and at every hundredth, with the moment on CLOCK_MONOTONIC, which all
processes of a host share; so the rate of a drain is read from the handlers themselves and nobody has to poll closely.
"""

from __future__ import annotations

import os
import time

from redis import Redis

from tests.benchmarks.counter import ARRIVALS, COUNT, TICK_EVERY, TICKS

client = Redis.from_url(os.environ["BENCHMARK_REDIS_URL"])


def count() -> None:
    """Add one."""
    reached = client.incr(COUNT)
    if reached == 1 or reached % TICK_EVERY == 0:
        client.rpush(TICKS, f"{reached} {time.monotonic_ns()}")


def arrive() -> None:
    """Tell when this began."""
    begun = time.monotonic_ns()
    client.rpush(ARRIVALS, begun)
