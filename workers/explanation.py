"""What workers have to do with it that a task is not running: nobody serves its queue, nobody knows its handler, or its worker
is silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from tasks.domain.reasons import Reason, ReasonCode
from tasks.domain.states import TaskStatus
from tasks.models import Task
from workers import selectors
from workers.models import Worker


def explain(task: Task, now: datetime) -> Iterator[Reason]:
    """The part of `tasks.explanation` that this app adds."""
    if task.status in (TaskStatus.PENDING, TaskStatus.QUEUED):
        yield from _not_served(task, selectors.online(now))
    elif task.status == TaskStatus.PROCESSING and task.lease_owner not in {each.pk for each in selectors.online(now)}:
        yield Reason(
            ReasonCode.WORKER_SILENT,
            f"Its worker {_offline_since(task)}; unless it comes back the task is "
            + ("kept for it, but not for ever." if task.held_until else "taken from it when its lease has ended."),
            until=task.held_until or task.lease_expires_at,
            worker_id=task.lease_owner,
        )


def _offline_since(task: Task) -> str:
    worker = selectors.by_ids([task.lease_owner]).get(task.lease_owner)
    return "was not heard of lately" if worker is None else f"is offline since {_moment(worker.last_heartbeat)}"


def _not_served(task: Task, online: Sequence[Worker]) -> Iterator[Reason]:
    serving = [worker for worker in online if _serves(worker, task)]
    if not serving:
        yield Reason(
            ReasonCode.NO_WORKER,
            f"No worker that is online serves its queue {task.queue!r}{_last_seen(task)}.",
            queue=task.queue,
        )
    elif not any(task.name in worker.handlers for worker in serving):
        yield Reason(
            ReasonCode.UNKNOWN_HANDLER,
            f"None of the workers that serve its queue {task.queue!r} knows the handler {task.name!r}.",
            queue=task.queue,
        )


def _serves(worker: Worker, task: Task) -> bool:
    return worker.team_id in (None, task.team_id) and (not worker.queues or task.queue in worker.queues)


def _last_seen(task: Task) -> str:
    known = [worker for worker in selectors.latest_heard() if _serves(worker, task)]
    return f"; the last one was heard of at {_moment(known[0].last_heartbeat)}" if known else ""


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
