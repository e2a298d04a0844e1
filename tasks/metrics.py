"""Counters and histograms of tasks, as sums of rows: cluster-wide, and right after any restart.

The only writer of MetricSum. A verb that owns its transaction adds to the sums inside it, as its last statement; inside a
caller's transaction, which may be long, the sums follow its commit, so that nobody waits for them.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from django.db import connection, transaction
from django.db.models import Sum

from tasks.domain.priority import level_name
from tasks.domain.states import TaskStatus
from tasks.models import MetricSum, Task

SHARDS = 32
ENTERED, CREATED = "entered", "created"
RETRIES, LOST_LEASES, REPAIRS = "retries", "lost_leases", "repairs"
DRIFT, MISSING, STALE = "index_drift", "missing", "stale"
RUN_SECONDS, WAIT_SECONDS = "run_seconds", "wait_seconds"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
INFINITE, TOTAL = "+Inf", "sum"

Counts = Counter[tuple[str, str]]

_ADD = {
    "mysql": "ON DUPLICATE KEY UPDATE value = value + VALUES(value)",
    "sqlite": "ON CONFLICT (metric, label, shard) DO UPDATE SET value = value + excluded.value",
}


def entered(tasks: Iterable[Task]) -> Counts:
    """One entry of each task into the state that it has now."""
    return Counter((ENTERED, task.status) for task in tasks)


def created(tasks: Iterable[Task]) -> Counts:
    """The creation of each task, by the level of its priority."""
    return Counter((CREATED, level_name(task.priority)) for task in tasks)


def observed(histogram: str, seconds: Iterable[float]) -> Counts:
    """Observations of a histogram: each falls into one bucket and adds to the total."""
    counts: Counts = Counter()
    for value in seconds:
        index = bisect_left(BUCKETS, value)
        counts[histogram, bucket_label(index)] += 1
        counts[histogram, TOTAL] += max(value, 0.0)  # type: ignore[assignment]
    return counts


def bucket_label(index: int) -> str:
    """The upper bound of bucket `index` as Prometheus writes it."""
    return format(BUCKETS[index], "g") if index < len(BUCKETS) else INFINITE


def record(counts: Mapping[tuple[str, str], float]) -> None:
    """Add to the sums: now if the present transaction is a verb's own, else when the caller's has committed."""
    if not counts:
        return
    if connection.savepoint_ids:
        transaction.on_commit(lambda: _add(counts), robust=True)
    else:
        _add(counts)


def _add(counts: Mapping[tuple[str, str], float]) -> None:
    shard = os.getpid() % SHARDS
    rows = [(metric, label, shard, value) for (metric, label), value in sorted(counts.items()) if value]
    if not rows:
        return
    places = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    table = connection.ops.quote_name(MetricSum._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (metric, label, shard, value) VALUES {places} {_ADD[connection.vendor]}",
            [value for row in rows for value in row],
        )


def sums() -> dict[tuple[str, str], float]:
    """Every counter and bucket that was ever added to, by (metric, label)."""
    totals = MetricSum.objects.values("metric", "label").annotate(total=Sum("value"))
    return {(row["metric"], row["label"]): row["total"] for row in totals}


def all_states() -> list[str]:
    """The labels of `ENTERED`, so that a counter can be shown with 0 from the start."""
    return [str(status) for status in TaskStatus]
