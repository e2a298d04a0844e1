"""Who works, and how well?"""

from __future__ import annotations

from .dashboard import Dashboard
from .expressions import percentiles, rate, spread
from .panels import GREEN, RED, YELLOW, Dial, Figure, Heat, Lines, Query

_NOW = (
    Figure("Online", "Workers heard of lately.", [Query("max(dtq_workers_online{@})")], "short"),
    Figure(
        "Silent",
        "Workers not heard of lately that have not signed off: dead, or cut off.",
        [Query("max(dtq_workers_silent{@})")],
        "short",
        steps=[(1, RED)],
    ),
    Figure(
        "Tasks with silent workers",
        "They go to others when their leases end, unless they are held for their worker.",
        [Query("max(dtq_workers_silent_tasks{@})")],
        "short",
        steps=[(1, YELLOW)],
    ),
    Figure("Slots", "Tasks that the workers online can run at a time.", [Query("max(dtq_worker_slots{@})")], "short"),
    Figure("Running", "Tasks that are being processed.", [Query("max(tasks_active{@})")], "short"),
    Dial(
        "Slots in use",
        "The share of the slots in which a task runs.",
        [Query("max(tasks_active{@}) / (max(dtq_worker_slots{@}) > 0) or vector(0)")],
        "percentunit",
        steps=[(0.8, YELLOW), (0.95, RED)],
    ),
)

_WHO = (
    Lines(
        "Workers by state",
        "A worker that has signed off counts nowhere.",
        [Query("max by (state) (dtq_workers{@})", "{{state}}")],
        "short",
        stacked=True,
        colours={"running": GREEN, "stopping": YELLOW, "silent": RED},
    ),
    Lines(
        "Slots and what runs in them",
        "While all slots are in use tasks wait.",
        [Query("max(dtq_worker_slots{@})", "slots"), Query("max(tasks_active{@})", "running")],
        "short",
    ),
    Lines(
        "Workers of each queue",
        "Online. One that serves several counts in each of them.",
        [Query("max by (queue) (dtq_queue_workers{@})", "{{queue}}")],
        "short",
    ),
    Lines(
        "Remote workers that wait for tasks",
        "Claims that each API process keeps open until there is work.",
        [Query("sum by (instance) (dtq_claims_waiting{@})", "{{instance}}")],
        "short",
    ),
)

_HOW_WELL = (
    Lines(
        "Starts and ends a second",
        "Attempts that start, and tasks that complete or fail.",
        [
            Query('max(rate(dtq_tasks_total{@, status="processing"}[$__rate_interval]))', "started"),
            rate("tasks_completed_total", "completed"),
            rate("tasks_failed_total", "failed"),
        ],
        "ops",
        colours={"completed": GREEN, "failed": RED},
    ),
    Lines(
        "Retries and lost leases a second",
        "Failed attempts that are tried again, and leases that ended without a report because a worker died.",
        [rate("dtq_task_retries_total", "retries"), rate("dtq_lost_leases_total", "lost leases")],
        "ops",
        colours={"retries": YELLOW, "lost leases": RED},
    ),
    Lines(
        "Run time",
        "How long attempts ran that completed their task.",
        percentiles("task_duration_seconds"),
        "s",
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Heat("Spread of the run times", "By bucket.", [spread("task_duration_seconds")], "s"),
)

WORKERS = Dashboard(
    "dtq-workers",
    "Workers",
    "Who works, and how well?",
    [("Now", _NOW), ("Who is there", _WHO), ("How well they work", _HOW_WELL)],
)
