"""Who is there to work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from dtq_site.metrics.families import gauge, gauges
from tasks import selectors as tasks
from workers import selectors as workers
from workers.domain.liveness import WorkerStatus

SILENT = "silent"
_STATES = (WorkerStatus.RUNNING, WorkerStatus.STOPPING, SILENT)


def families(now: datetime) -> Iterator[Metric]:
    """All of them; workers that have signed off count nowhere."""
    standing = workers.standing(now)
    online = [worker for worker in standing if worker.is_online]
    running = [worker for worker in online if worker.status == WorkerStatus.RUNNING]
    silent = [worker.id for worker in standing if not worker.is_online]
    states = [worker.status if worker.is_online else SILENT for worker in standing]
    serving = {
        queue.name: sum(not worker.queues or queue.name in worker.queues for worker in running)
        for queue in tasks.queues()
    }
    held = workers.active_task_counts(silent).total() if silent else 0
    yield gauges("dtq_workers", "Workers by state.", "state", {state: states.count(state) for state in _STATES})
    yield gauges("dtq_queue_workers", "Workers that are online and serve a queue.", "queue", serving)
    for name, text, value in (
        ("dtq_workers_online", "Workers heard of lately.", len(online)),
        ("dtq_workers_silent", "Workers not heard of lately that have not signed off.", len(silent)),
        ("dtq_workers_silent_tasks", "Tasks that are leased to workers not heard of lately.", held),
        (
            "dtq_worker_slots",
            "Tasks that the workers online can run at a time.",
            sum(each.concurrency for each in running),
        ),
    ):
        yield gauge(name, text, value)
