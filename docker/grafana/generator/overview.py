"""Is it healthy, how much does it do, and how long does that take?"""

from __future__ import annotations

from .dashboard import Dashboard
from .expressions import percentiles, rate, spread
from .panels import BLUE, GREEN, RED, UP_OR_DOWN, YELLOW, Dial, Figure, Heat, Lines, Query

_NOW = (
    Figure(
        "Database",
        "Whether every API process reaches the database. Without it nothing works.",
        [Query("min(dtq_database_up{@})")],
        "none",
        width=3,
        words=UP_OR_DOWN,
    ),
    Figure(
        "Redis",
        "Whether every API process reaches Redis. Without it tasks go on, slower.",
        [Query("min(dtq_redis_up{@})")],
        "none",
        width=3,
        words=UP_OR_DOWN,
    ),
    Figure(
        "Scheduler",
        "Whether a scheduler leads. Without one nothing that is delayed becomes ready.",
        [Query("max(dtq_scheduler_leader{@})")],
        "none",
        width=3,
        words={"0": ("none", RED), "1": ("leads", GREEN)},
    ),
    Figure(
        "Alerts",
        "Alerts that are firing now.",
        [Query('count(ALERTS{alertname=~"DTQ.+", alertstate="firing"}) or vector(0)')],
        "short",
        width=3,
        steps=[(1, RED)],
    ),
    Figure(
        "Ready tasks",
        "Tasks of all queues that could start now.",
        [Query("max(queue_size{@})")],
        "short",
        width=3,
    ),
    Figure(
        "Running tasks",
        "Tasks that are being processed.",
        [Query("max(tasks_active{@})")],
        "short",
        width=3,
    ),
    Figure(
        "Workers online",
        "Workers heard of lately.",
        [Query("max(dtq_workers_online{@})")],
        "short",
        width=3,
    ),
    Dial(
        "Slots in use",
        "The share of what the workers online can run at a time that runs now.",
        [Query("max(tasks_active{@}) / (max(dtq_worker_slots{@}) > 0) or vector(0)")],
        "percentunit",
        width=3,
        steps=[(0.8, YELLOW), (0.95, RED)],
    ),
)

_THROUGHPUT = (
    Lines(
        "Tasks a second",
        "How many tasks are created, complete, and end as failed or dead letters.",
        [
            Query("max(sum by (instance) (rate(tasks_created_total{@}[$__rate_interval])))", "created"),
            rate("tasks_completed_total", "completed"),
            rate("tasks_failed_total", "failed"),
        ],
        "ops",
        colours={"created": BLUE, "completed": GREEN, "failed": RED},
    ),
    Lines(
        "Share of failures",
        "Of the tasks that ended, those that failed for good. Attempts that are tried again do not count.",
        [
            Query(
                "max(rate(tasks_failed_total{@}[$__rate_interval])) / (max(rate(tasks_failed_total{@}[$__rate_interval]))"
                " + max(rate(tasks_completed_total{@}[$__rate_interval])) > 0) or vector(0)",
                "failed",
            )
        ],
        "percentunit",
        width=6,
        steps=[(0.5, RED)],
        colours={"failed": RED},
    ),
    Lines(
        "Retries and lost leases a second",
        "Failed attempts that are tried again, and leases that ended without a report because a worker died.",
        [rate("dtq_task_retries_total", "retries"), rate("dtq_lost_leases_total", "lost leases")],
        "ops",
        width=6,
        colours={"retries": YELLOW, "lost leases": RED},
    ),
    Lines(
        "Entries into states a second",
        "Every change of state. A task that is retried enters some of them again.",
        [rate("dtq_tasks_total", "{{status}}", "status")],
        "ops",
    ),
    Lines(
        "Created a second by priority",
        "By the level of the priority.",
        [rate("tasks_created_total", "{{priority}}", "priority")],
        "ops",
        stacked=True,
    ),
)

_TIMES = (
    Lines(
        "From ready to start",
        "How long tasks waited for a worker after they were ready.",
        percentiles("dtq_task_wait_seconds"),
        "s",
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Lines(
        "Run time",
        "How long attempts ran that completed their task.",
        percentiles("dtq_task_duration_seconds"),
        "s",
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Heat("Spread of the waits", "From ready to start, by bucket.", [spread("dtq_task_wait_seconds")], "s"),
    Heat("Spread of the run times", "By bucket.", [spread("dtq_task_duration_seconds")], "s"),
)

_UPKEEP = (
    Lines(
        "Lateness of the scheduler",
        "How long the longest due task waits to become ready, and the longest due slot of a schedule to fire.",
        [
            Query("max(dtq_scheduler_late_seconds{@})", "tasks"),
            Query("max(dtq_schedule_late_seconds{@})", "schedules"),
        ],
        "s",
        width=8,
        steps=[(60, RED)],
    ),
    Lines(
        "Duties that fail or are behind",
        "1 while a duty does; the log of the scheduler says why.",
        [Query("max by (duty) (dtq_duty_behind{@})", "{{duty}}")],
        "short",
        width=8,
        highest=1,
        decimals=0,
    ),
    Lines(
        "Duration of duties",
        "How long the last round of each took.",
        [Query("max by (duty) (dtq_duty_duration_seconds{@})", "{{duty}}")],
        "s",
        width=8,
    ),
    Lines(
        "Repairs of the dispatch index a second",
        "Entries that it lacked, and entries for tasks that were gone. Nothing is lost by them, but tasks start late.",
        [rate("dtq_index_drift_total", "{{kind}}", "kind"), rate("dtq_reconciler_repairs_total", "put back")],
        "ops",
        width=8,
    ),
    Lines(
        "Rows treated by duties a second",
        "What the scheduler has to do.",
        [rate("dtq_duty_rows_total", "{{duty}}", "duty")],
        "ops",
        width=8,
    ),
    Lines(
        "Schedules",
        "How many there are.",
        [Query("max by (state) (dtq_schedules{@})", "{{state}}")],
        "short",
        width=8,
        stacked=True,
    ),
)

OVERVIEW = Dashboard(
    "dtq-overview",
    "Overview",
    "Is the installation healthy, how much does it do, and how long does that take?",
    [("Now", _NOW), ("Processing rates", _THROUGHPUT), ("Times", _TIMES), ("Scheduler", _UPKEEP)],
)
