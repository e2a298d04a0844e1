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
    hard_limit_after: timedelta = option(
        timedelta(seconds=10),
        env="DTQ_HARD_LIMIT_AFTER",
        minimum=timedelta(seconds=1),
        maximum=timedelta(days=1),
        help="how long after its time limit a handler that does not end is ended with its process.",
    )
    recycle_after_tasks: int = option(
        0,
        env="DTQ_RECYCLE_AFTER_TASKS",
        minimum=0,
        maximum=1_000_000_000,
        help="after how many tasks a worker process is replaced by a fresh one; 0 is never.",
    )
    recycle_above_mb: int = option(
        0,
        env="DTQ_RECYCLE_ABOVE_MB",
        minimum=0,
        maximum=1_000_000,
        help="above how many MB of memory a worker process is replaced by a fresh one; 0 is never.",
    )
    outbox_mb: int = option(
        64,
        env="DTQ_OUTBOX_MB",
        minimum=1,
        maximum=100_000,
        help="how many MB of outcomes a worker process keeps on disk while the server is away.",
    )
    longest_remote_lease: timedelta = option(
        timedelta(days=7),
        env="DTQ_LONGEST_REMOTE_LEASE",
        minimum=timedelta(minutes=1),
        maximum=timedelta(days=24),
        help="the longest lease that a remote worker is granted, however long it asks for.",
    )
    waiting_claims: int = option(
        10_000,
        env="DTQ_WAITING_CLAIMS",
        minimum=0,
        maximum=1_000_000,
        help="how many claims of remote workers one API process lets wait for work; others are answered at once.",
    )
