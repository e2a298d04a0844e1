"""What has happened since the installation began: the sums that `tasks/metrics.py` keeps, as counters and histograms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily, Metric

from dtq_site.foundation.database import LOCK_CONFLICTS
from dtq_site.metrics.families import counter, counters
from tasks import metrics as sums
from tasks.domain.priority import LEVELS
from tasks.domain.states import TaskStatus

_HISTOGRAMS = (
    ("dtq_task_duration_seconds", "How long attempts ran that completed their task.", sums.RUN_SECONDS),
    ("task_duration_seconds", "The same as dtq_task_duration_seconds.", sums.RUN_SECONDS),
    (
        "dtq_task_wait_seconds",
        "How long tasks waited from the moment they were ready to their start.",
        sums.WAIT_SECONDS,
    ),
)

Totals = Mapping[tuple[str, str], float]


def families() -> Iterator[Metric]:
    """All of them, with 0 for what never happened."""
    totals = sums.sums()
    yield from _counters(totals)
    for name, text, metric in _HISTOGRAMS:
        yield _histogram(name, text, metric, totals)


def _counters(totals: Totals) -> Iterator[Metric]:
    def labelled(metric: str, labels: Iterable[str]) -> dict[str, float]:
        return {label: totals.get((metric, label), 0) for label in labels}

    entered = labelled(sums.ENTERED, TaskStatus)
    failed = entered[TaskStatus.FAILED] + entered[TaskStatus.DEAD_LETTER]
    by_status = {status.lower(): value for status, value in entered.items()}
    yield counters(
        "dtq_tasks", "Entries of tasks into a state; a retried task enters some of them again.", "status", by_status
    )
    created = labelled(sums.CREATED, LEVELS)
    yield counters("tasks_created", "Tasks that were created, by the level of their priority.", "priority", created)
    yield counter("tasks_completed", "Tasks that completed.", entered[TaskStatus.COMPLETED])
    yield counter("tasks_failed", "Tasks that ended as FAILED or DEAD_LETTER.", failed)
    yield counter("dtq_dead_letters", "Tasks that became dead letters.", entered[TaskStatus.DEAD_LETTER])
    for name, text, metric in (
        ("dtq_task_retries", "Failed attempts that were followed by another.", sums.RETRIES),
        ("dtq_lost_leases", "Leases that ended without a report, as when a worker dies.", sums.LOST_LEASES),
        ("dtq_reconciler_repairs", "Ready tasks that the dispatch index lacked, put back.", sums.REPAIRS),
    ):
        yield counter(name, text, totals.get((metric, ""), 0))
    drift = labelled(sums.DRIFT, (sums.MISSING, sums.STALE))
    yield counters(
        "dtq_index_drift", "Entries that the dispatch index lacked, or had for tasks that were gone.", "kind", drift
    )
    lost = labelled(sums.CONFLICTS, LOCK_CONFLICTS)
    yield counters("dtq_database_conflicts", "Transactions that lost a deadlock or a wait for a lock.", "kind", lost)


def _histogram(name: str, text: str, metric: str, totals: Totals) -> Metric:
    buckets, running = [], 0.0
    for index in range(len(sums.BUCKETS) + 1):
        label = sums.bucket_label(index)
        running += totals.get((metric, label), 0)
        buckets.append((label, running))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=totals.get((metric, sums.TOTAL), 0.0))
