"""What waits, where, and for how long?"""

from __future__ import annotations

from .dashboard import Choice, Dashboard
from .expressions import of_queues, percentiles, spread
from .panels import GREEN, RED, YELLOW, Figure, Heat, Lines, Query, Table

LATE_SECONDS = 300


def _sum(metric: str) -> list[Query]:
    return [Query(f'sum(max by (queue) ({metric}{{@, queue=~"$queue"}}))')]


_NOW = (
    Figure("Ready", "Tasks that could start now.", _sum("dtq_queue_depth"), "short"),
    Figure("Running", "Tasks that are being processed.", _sum("dtq_queue_processing"), "short"),
    Figure(
        "Oldest waits",
        "How long the oldest ready task of any of the queues has been waiting.",
        [Query('max(dtq_queue_oldest_seconds{@, queue=~"$queue"})')],
        "s",
        steps=[(60, YELLOW), (LATE_SECONDS, RED)],
    ),
    Figure(
        "Dead letters",
        "Tasks that wait for somebody to decide. Of each queue some thousands are counted at most.",
        _sum("dtq_queue_dead_letters"),
        "short",
        steps=[(1, YELLOW)],
    ),
    Figure(
        "Queues without workers",
        "Queues in which tasks wait and which no worker serves.",
        [
            Query(
                'count(max by (queue) (dtq_queue_depth{@, queue=~"$queue"}) > 0'
                " and max by (queue) (dtq_queue_workers{@}) == 0) or vector(0)"
            )
        ],
        "short",
        steps=[(1, RED)],
    ),
    Figure(
        "Paused queues", "Queues from which nothing is taken.", _sum("dtq_queue_paused"), "short", steps=[(1, YELLOW)]
    ),
)

_EACH = (
    Table(
        "Queues",
        "Each queue as it stands now.",
        [
            of_queues("dtq_queue_depth", "Ready"),
            of_queues("dtq_queue_processing", "Running"),
            of_queues("dtq_queue_oldest_seconds", "Oldest waits"),
            of_queues("dtq_queue_dead_letters", "Dead letters"),
            of_queues("dtq_queue_workers", "Workers"),
            of_queues("dtq_queue_paused", "Paused"),
        ],
        "short",
        width=24,
        key="queue",
        units={"Oldest waits": "s", "Paused": "bool_yes_no"},
    ),
)

_DEPTH = (
    Lines("Depth", "Ready tasks of each queue.", [of_queues("dtq_queue_depth")], "short", stacked=True),
    Lines(
        "Wait of the oldest task",
        "Rises by a second each second while nothing is taken from a queue.",
        [of_queues("dtq_queue_oldest_seconds")],
        "s",
        steps=[(LATE_SECONDS, RED)],
    ),
    Lines(
        "Running",
        "Tasks of each queue that are being processed.",
        [of_queues("dtq_queue_processing")],
        "short",
        stacked=True,
    ),
    Lines(
        "Dead letters",
        "Those that are there, of each queue.",
        [of_queues("dtq_queue_dead_letters")],
        "short",
        stacked=True,
    ),
    Lines(
        "Workers",
        "Workers that are online and serve each queue. One that serves several counts in each of them.",
        [of_queues("dtq_queue_workers")],
        "short",
    ),
    Lines(
        "Tasks that wait for a limit",
        "They are not ready: a rate, or a cap on how many run at a time, holds them back. Of all queues.",
        [Query("max by (kind) (dtq_tasks_limited{@})", "{{kind}}")],
        "short",
        stacked=True,
    ),
)

_WAITS = (
    Lines(
        "From ready to start",
        "How long tasks of all queues waited for a worker after they were ready.",
        percentiles("dtq_task_wait_seconds"),
        "s",
        colours={"p50": GREEN, "p95": YELLOW, "p99": RED},
    ),
    Heat(
        "Spread of the waits", "From ready to start, by bucket. Of all queues.", [spread("dtq_task_wait_seconds")], "s"
    ),
)

QUEUES = Dashboard(
    "dtq-queues",
    "Queues",
    "What waits, where, and for how long?",
    [("Now", _NOW), ("Each queue", _EACH), ("Over time", _DEPTH), ("Waits", _WAITS)],
    [Choice("queue", "Queue", "dtq_queue_depth")],
)
