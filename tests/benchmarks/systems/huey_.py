"""Huey with two worker processes."""

from __future__ import annotations

from tests.benchmarks.systems import System

HUEY = System(
    title="Huey",
    application="huey_app",
    worker=(
        *("-m", "huey.bin.huey_consumer", "tests.benchmarks.applications.huey_app.huey"),
        *("--workers", "2", "--worker-type", "process", "--no-periodic", "--quiet"),
    ),
    configuration="`RedisHuey` and `huey_consumer --workers 2 --worker-type process --no-periodic`, a blocking read, no "
    "results. Tasks are in Redis alone; one that is taken is gone from there. In bulk `enqueue` in a loop.",
)
