"""What follows a move: the dispatch index and those who listen, after the commit, because they must never know of a task that
was rolled back, its line in the log, the sums of metrics, and with the move itself what webhooks are to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction

from tasks import events, metrics
from tasks.domain.states import PROMOTABLE_HOLDS, TaskStatus
from tasks.events import Change
from tasks.lifecycle import transitions
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint
from tasks.webhooks import outbox


def hint_of(task: Task) -> Hint:
    """The task's entry in the dispatch index."""
    return Hint(task.rank, task.pk, task.queue, task.name)


def follow(tasks: Sequence[Task], counts: Mapping[tuple[str, str], float] | None = None) -> None:
    """After a move: count the states that were entered, and `counts` beside them; note what webhooks are to be told; make known
    what has become ready, and to those who listen all of it.
    """
    metrics.record(metrics.entered(tasks) + Counter(counts or {}))
    outbox.record(tasks)
    add_after_commit(tasks)
    transitions.moved(tasks)
    events.publish_after_commit(Change.MOVED, [task.pk for task in tasks])


def follow_ready(hints: Sequence[Hint]) -> None:
    """As `follow`, for tasks that have all become ready, of which only their entries in the index are at hand."""
    metrics.record({(metrics.ENTERED, TaskStatus.QUEUED): len(hints)})
    transaction.on_commit(lambda: redis_index().add(hints), robust=True)
    transitions.became_ready(hints)
    events.publish_after_commit(Change.MOVED, [hint.id for hint in hints])


def add_after_commit(tasks: Sequence[Task]) -> None:
    """Make known those of the tasks that are ready, and when the first is due of those that wait for a moment."""
    ready = [hint_of(task) for task in tasks if task.status == TaskStatus.QUEUED]
    if ready:
        transaction.on_commit(lambda: redis_index().add(ready), robust=True)
    if len(ready) < len(tasks):
        waiting = (task for task in tasks if task.status == TaskStatus.PENDING and task.hold in PROMOTABLE_HOLDS)
        moments = [task.scheduled_at for task in waiting if task.scheduled_at is not None]
        if moments:
            transaction.on_commit(lambda: redis_index().announce_due(min(moments)), robust=True)


def drop_after_commit(hints: Iterable[Hint]) -> None:
    """Take entries out of the index."""
    gone = list(hints)
    if gone:
        transaction.on_commit(lambda: redis_index().drop(gone), robust=True)
