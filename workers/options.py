"""The settings of workers."""

import re
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
    longest_hold: timedelta = option(
        timedelta(days=7),
        env="DTQ_LONGEST_HOLD",
        minimum=timedelta(0),
        maximum=timedelta(days=365),
        help="how long beyond its lease a task that is to be held is kept for a remote worker that is cut off.",
    )
    waiting_claims: int = option(
        10_000,
        env="DTQ_WAITING_CLAIMS",
        minimum=0,
        maximum=1_000_000,
        help="how many claims of remote workers one API process lets wait for work; others are answered at once.",
    )


def check_server(url: str) -> None:
    """Raise ValueError for what is no address of a GraphQL endpoint."""
    if url and not re.fullmatch(r"https?://[^/\s@]+(/\S*)?", url):
        raise ValueError("write it like https://dtq.example.com/graphql, without a user or a password")


@dataclass(frozen=True)
class RemoteOptions:
    """How a worker without a database reaches the server, and how it gets over times without it."""

    server: str = option(
        "",
        env="DTQ_SERVER",
        check=check_server,
        help="the GraphQL endpoint, such as https://dtq.example.com/graphql; empty is a worker that reaches the database.",
    )
    token: str = option("", env="DTQ_TOKEN", secret=True, help="the worker token that issue_worker_token made.")
    token_file: str = option(
        "", env="DTQ_TOKEN_FILE", help="the file with that token, in place of DTQ_TOKEN; read anew when it changes."
    )
    store: str = option(
        "~/.dtq/worker",
        env="DTQ_STORE",
        help="the folder in which the worker keeps what it holds and what it has not delivered.",
    )
    prefetch: int = option(
        0,
        env="DTQ_PREFETCH",
        minimum=0,
        maximum=10_000,
        help="how many tasks each process holds beside those that it runs, to go on with while it is cut off.",
    )
    offline_for: timedelta = option(
        timedelta(minutes=1),
        env="DTQ_OFFLINE_FOR",
        minimum=timedelta(seconds=15),
        maximum=timedelta(days=24),
        help="for how long tasks stay this worker's while it is cut off, as far as the server grants it.",
    )
