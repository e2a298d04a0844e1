"""The settings of workers."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option


@dataclass(frozen=True)
class WorkersOptions:
    """How a worker works."""

    concurrency: int = option(
        5,
        env=("WORKER_CONCURRENCY", "QUEUE_CONCURRENCY"),
        minimum=1,
        maximum=1000,
        help="how many tasks one worker process runs at once.",
    )
    lease: timedelta = option(
        timedelta(seconds=15),
        env="DTQ_LEASE",
        minimum=timedelta(seconds=3),
        maximum=timedelta(hours=1),
        help="how long a claimed task is a worker's without a renewal.",
    )
    grace_period: timedelta = option(
        timedelta(seconds=25),
        env="DTQ_GRACE_PERIOD",
        minimum=timedelta(0),
        maximum=timedelta(hours=1),
        help="how long running tasks may go on after SIGTERM.",
    )
    offline_after: timedelta = option(
        timedelta(seconds=30),
        env="DTQ_WORKER_OFFLINE_AFTER",
        minimum=timedelta(seconds=5),
        maximum=timedelta(hours=1),
        help="after what silence a worker counts as offline.",
    )
