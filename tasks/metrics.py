"""Counters and histograms of tasks, as sums of rows: cluster-wide, and right after any restart.

The only writer of MetricSum. A verb that owns its transaction adds to the sums inside it, as its last statement; inside a
caller's transaction, which may be long, the sums follow its commit, so that nobody waits for them.

Each addition goes to a shard drawn anew: process ids would not do, in containers all are alike, and the threads of one
process must not wait for each other's commits either.
"""

from __future__ import annotations

import functools
import secrets
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Sum

from dtq_site.foundation.statements import Statement
from tasks.domain.priority import level_name
from tasks.models import MetricSum, Task

SHARDS = 32
ENTERED, CREATED, _CREATED_IN = "entered", "created", "created_in"
RETRIES, LOST_LEASES, REPAIRS, CONFLICTS = "retries", "lost_leases", "repairs", "conflicts"
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
    """The creation of each task, by the level of its priority, and its entry into its first state.

    One sum holds both, told apart again by `sums`: a creation alone writes one row here and not two.
    """
    counts: Counts = Counter()
    for (priority, status), count in Counter((task.priority, task.status) for task in tasks).items():
        counts[_CREATED_IN, f"{level_name(priority)} {status}"] += count
    return counts


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
    counts = {key: count for key, count in counts.items() if count}
    if not counts:
        return
    statement = addition(counts)
    if connection.savepoint_ids:
        transaction.on_commit(statement.run, robust=True)
    else:
        statement.run()


def record_conflicts(lost: Mapping[str, int]) -> None:
    """Add transactions that lost against others, by kind. Never fails: somebody else's work goes on after it."""
    with suppress(DatabaseError, InterfaceError):
        record({(CONFLICTS, kind): count for kind, count in lost.items()})


def addition(counts: Mapping[tuple[str, str], float]) -> Statement:
    """The statement that adds `counts`, of which there is at least one, to the sums."""
    shard = secrets.randbelow(SHARDS)
    values: list[Any] = []
    for (metric, label), value in sorted(counts.items()):
        values += metric, label, shard, value
    return Statement(_wording(len(counts), connection.vendor), values)


@functools.cache
def _wording(rows: int, vendor: str) -> str:
    places = ", ".join(["(%s, %s, %s, %s)"] * rows)
    table = connection.ops.quote_name(MetricSum._meta.db_table)
    return f"INSERT INTO {table} (metric, label, shard, value) VALUES {places} {_ADD[vendor]}"


def sums() -> dict[tuple[str, str], float]:
    """Every counter and bucket that was ever added to, by (metric, label)."""
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for row in MetricSum.objects.values("metric", "label").annotate(total=Sum("value")):
        for key in _meant_by(row["metric"], row["label"]):
            totals[key] += row["total"]
    return dict(totals)


def _meant_by(metric: str, label: str) -> list[tuple[str, str]]:
    if metric != _CREATED_IN:
        return [(metric, label)]
    level, status = label.split()
    return [(CREATED, level), (ENTERED, status)]
