"""`/metrics`: the whole cluster's counters and gauges, read from rows at each scrape, beside this process's own.

The same values come from every API process: scrape one of them for these, or take the maximum over instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dtq_site.foundation.database import LOCK_CONFLICTS, database_clock
from dtq_site.reading import reads_only
from scheduling import selectors as scheduling
from scheduling.duty_states import DutyHealth, DutyState, duty_states
from scheduling.queue_reports import oldest_seconds
from tasks import lifecycle, limit_line
from tasks import metrics as sums
from tasks import selectors as tasks
from tasks.domain.priority import LEVELS
from tasks.domain.states import TaskStatus
from workers import selectors as workers


class ClusterCollector:
    """Yields what the rows say. While the database is away there is only `dtq_database_up 0`."""

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        up = 1
        found: list[Metric] = []
        try:
            found = [*_counters(sums.sums()), *_gauges(), *_duties()]
        except (DatabaseError, InterfaceError):
            up = 0
        yield GaugeMetricFamily("dtq_database_up", "Whether the database answers this process.", value=up)
        yield from found


CLUSTER = ClusterCollector()


def _counters(totals: dict[tuple[str, str], float]) -> Iterator[Metric]:
    entered = {status: totals.get((sums.ENTERED, status), 0) for status in TaskStatus}
    states = CounterMetricFamily("dtq_tasks", "Entries of tasks into a state.", labels=["status"])
    for status, value in entered.items():
        states.add_metric([status.lower()], value)
    yield states
    created = CounterMetricFamily(
        "tasks_created", "Tasks created, by the level of their priority.", labels=["priority"]
    )
    for level in LEVELS:
        created.add_metric([level], totals.get((sums.CREATED, level), 0))
    yield created
    failed = entered[TaskStatus.FAILED] + entered[TaskStatus.DEAD_LETTER]
    for name, text, value in (
        ("tasks_completed", "Tasks that completed.", entered[TaskStatus.COMPLETED]),
        ("tasks_failed", "Tasks that ended as FAILED or DEAD_LETTER.", failed),
        ("dtq_dead_letters", "Tasks that became dead letters.", entered[TaskStatus.DEAD_LETTER]),
        ("dtq_task_retries", "Failed attempts that were followed by another.", totals.get((sums.RETRIES, ""), 0)),
        ("dtq_lost_leases", "Leases that ended without a report.", totals.get((sums.LOST_LEASES, ""), 0)),
        ("dtq_reconciler_repairs", "Entries that the dispatch index lacked.", totals.get((sums.REPAIRS, ""), 0)),
    ):
        yield CounterMetricFamily(name, text, value=value)
    drift = CounterMetricFamily(
        "dtq_index_drift", "Entries that the dispatch index had lost, or had for tasks that were gone.", labels=["kind"]
    )
    for kind in (sums.MISSING, sums.STALE):
        drift.add_metric([kind], totals.get((sums.DRIFT, kind), 0))
    yield drift
    conflicts = CounterMetricFamily(
        "dtq_database_conflicts", "Transactions that lost a deadlock or a wait for a lock.", labels=["kind"]
    )
    for kind in LOCK_CONFLICTS:
        conflicts.add_metric([kind], totals.get((sums.CONFLICTS, kind), 0))
    yield conflicts
    for name in ("dtq_task_duration_seconds", "task_duration_seconds"):
        yield _histogram(name, "How long attempts that completed ran.", sums.RUN_SECONDS, totals)
    yield _histogram("dtq_task_wait_seconds", "From ready to started.", sums.WAIT_SECONDS, totals)


def _histogram(name: str, text: str, metric: str, totals: dict[tuple[str, str], float]) -> Metric:
    buckets, running = [], 0.0
    for index in range(len(sums.BUCKETS) + 1):
        label = sums.bucket_label(index)
        running += totals.get((metric, label), 0)
        buckets.append((label, running))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=totals.get((metric, sums.TOTAL), 0.0))


def _gauges() -> Iterator[Metric]:
    now = database_clock.now()
    depths = tasks.depths()
    depth = GaugeMetricFamily("dtq_queue_depth", "Ready tasks of a queue.", labels=["queue"])
    oldest = GaugeMetricFamily("dtq_queue_oldest_seconds", "How long its oldest ready task waits.", labels=["queue"])
    queues = tasks.queues()
    ready = tasks.oldest_ready(queues)
    for queue in queues:
        depth.add_metric([queue.name], depths.get(queue.name, 0))
        oldest.add_metric([queue.name], oldest_seconds(ready.get(queue.name), now))
    yield from (depth, oldest)
    limited = GaugeMetricFamily("dtq_tasks_limited", "Tasks that wait for a limit.", labels=["kind"])
    for kind, waiting in limit_line.count().items():
        limited.add_metric([kind], waiting)
    yield limited
    due = lifecycle.next_due()
    late = max((now - due).total_seconds(), 0.0) if due else 0.0
    for name, text, value in (
        ("queue_size", "Ready tasks of all queues.", sum(depths.values())),
        ("tasks_active", "Tasks that are being processed.", tasks.active()),
        ("dtq_workers_online", "Workers heard of lately.", len(workers.online(now))),
        ("dtq_workers_silent", "Workers not heard of lately that have not signed off.", len(workers.silent(now))),
        ("dtq_scheduler_leader", "Whether a scheduler leads.", int(scheduling.has_leader(now))),
        ("dtq_scheduler_late_seconds", "How long the longest due task has been waiting to become ready.", late),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _duties() -> Iterator[Metric]:
    now = database_clock.now()
    states = duty_states()

    def family(kind: type[Metric], name: str, text: str, value: Callable[[DutyState], float]) -> Metric:
        found = kind(name, text, labels=["duty"])
        for state in states:
            found.add_metric([state.name], value(state))
        return found

    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    yield family(gauge, "dtq_duty_last_success_timestamp_seconds", "When it was last through.", _last_success)
    yield family(gauge, "dtq_duty_duration_seconds", "How long its last round took.", lambda duty: duty.record.seconds)
    yield family(
        gauge, "dtq_duty_behind", "Whether it fails, or is behind.", lambda duty: duty.health(now) != DutyHealth.OK
    )
    yield family(counter, "dtq_duty_rows", "Rows that it has treated.", lambda duty: duty.record.treated)
    yield family(counter, "dtq_duty_failures", "Rounds of it that failed.", lambda duty: duty.record.failures)


def _last_success(duty: DutyState) -> float:
    moment = duty.record.succeeded_at
    return 0.0 if moment is None else moment.timestamp()


@never_cache
@reads_only
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`, in Prometheus' text format."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
