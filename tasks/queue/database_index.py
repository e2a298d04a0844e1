"""The dispatch index that is the rows themselves: slower, and always right. Workers use it while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef

from tasks.domain.states import TaskStatus
from tasks.models import Queue, Task
from tasks.queue.index import Hint


class DatabaseIndex:
    """A DispatchIndex that reads task rows; adding and dropping is what the lifecycle does to the rows anyway."""

    POLL_SECONDS = 0.25

    def add(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex. The row is the entry already."""

    def take(self, queue: str, names: Collection[str], limit: int, *, team_id: UUID | None = None) -> list[Hint]:
        """See DispatchIndex. Hands the same tasks to everybody who asks; the guarded claim decides who gets them.

        With a `team_id` the tasks of other teams are passed over.
        """
        ready = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED, name__in=names).order_by("rank", "id")
        if team_id is not None:
            ready = ready.filter(team_id=team_id)
        return [Hint(rank, id_, queue, name) for rank, id_, name in ready.values_list("rank", "id", "name")[:limit]]

    def with_work(self, queues: Collection[str]) -> set[str]:
        """Those of the queues in which any task is ready."""
        ready = Task.objects.filter(queue=OuterRef("name"), status=TaskStatus.QUEUED)
        return set(Queue.objects.filter(Exists(ready), name__in=queues).values_list("name", flat=True))

    def confirm(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex. The claimed row is the confirmation already."""

    def drop(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex. The moved row is the removal already."""

    def depth(self, queue: str) -> int:
        """See DispatchIndex."""
        return Task.objects.filter(queue=queue, status=TaskStatus.QUEUED).count()

    def wait(self, queues: Collection[str] | None, names: Collection[str], timeout_seconds: float) -> None:
        """See DispatchIndex. Nobody rings here: sleep a little, then look."""
        time.sleep(min(timeout_seconds, self.POLL_SECONDS))
