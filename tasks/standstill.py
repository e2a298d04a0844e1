"""Which queues stand still: of those whose tasks wait for too long, those of which nothing runs and nothing has lately ended.

To have a task that waits is not enough: one whose handler nobody knows waits while the others of its queue pass it by. None of
this looks at more than some rows of each queue, however many there are, for probes ask it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from dtq_site.foundation.database import through_index
from tasks.domain.priority import HIGHEST, LOWEST, level_ms
from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task, TaskAttempt

MOST_LOOKED_AT = 1000


def standing_still(queues: Collection[Queue], since: datetime) -> list[Queue]:
    """Those of the queues of which no task runs, and no attempt has ended since then."""
    running = Task.objects.filter(queue=OuterRef("name"), status=TaskStatus.PROCESSING)
    rows = Queue.objects.filter(~Exists(running), name__in=[queue.name for queue in queues])
    idle = set(rows.values_list("name", flat=True))
    if idle:
        idle -= _queues_of_completions(since) | _queues_of_failures(since)
    return [queue for queue in queues if queue.name in idle and not _has_completed(queue, since)]


def _queues_of_completions(since: datetime) -> set[str]:
    """The queues of tasks that have completed since then, as far as the newest MOST_LOOKED_AT of all queues tell."""
    completed = through_index(Task.objects.filter(status=TaskStatus.COMPLETED), "task_changed")
    newest = completed.order_by("-updated_at", "-id").values_list("queue", "completed_at")[:MOST_LOOKED_AT]
    return {queue for queue, completed_at in newest if completed_at >= since}


def _queues_of_failures(since: datetime) -> set[str]:
    """The queues of attempts that ended since then otherwise than in success, as far as the newest MOST_LOOKED_AT of all tell."""
    newest = TaskAttempt.objects.order_by("-pk").values_list("task_id", "ended_at")[:MOST_LOOKED_AT]
    task_ids = {task_id for task_id, ended_at in newest if ended_at >= since}
    return set(Task.objects.filter(pk__in=task_ids).order_by().values_list("queue", flat=True).distinct())


def _has_completed(queue: Queue, since: datetime) -> bool:
    """Whether a task of the queue has completed since then, as far as the end of its line tells.

    For a queue beside others that complete very many. Tasks start in the order of their line, so the last in it that has
    completed started last, as a rule: where priority is strict, within each priority; where tasks age, only the last
    MOST_LOOKED_AT are looked at. A task that had waited elsewhere meanwhile, for a lock or a limit, may be missed.
    """
    line = through_index(Task.objects.filter(queue=queue.name, status=TaskStatus.COMPLETED), "task_line")
    if queue.ageing_seconds is None:
        return any(completed_at >= since for completed_at in _lasts_of_priorities(line))
    last = line.order_by("-rank", "-id").values_list("completed_at", flat=True)[:MOST_LOOKED_AT]
    return any(completed_at >= since for completed_at in last)


def _lasts_of_priorities(line: QuerySet[Task]) -> Iterator[datetime]:
    """When the last task of each priority completed: one step back along the index for each that the line has."""
    most = level_ms(None) * (HIGHEST - LOWEST + 1)
    for _ in range(LOWEST, HIGHEST + 1):
        last = (
            line.filter(rank__lt=most).order_by("-rank", "-id").values_list("priority", "completed_at", "rank").first()
        )
        if last is None:
            return
        priority, completed_at, rank = last
        yield completed_at
        # A place that was given by an ageing which has ended lies elsewhere, behind those that are looked at.
        most = min((HIGHEST - priority) * level_ms(None), rank)
