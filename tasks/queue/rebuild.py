"""Compares the dispatch index in Redis with the rows and repairs it.

The index is whole while its marker stands and names the Redis process that it was built in: a restarted, failed-over or
restored Redis has another run id. Without the marker workers ask the rows, so a rebuild may take its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

from dtq_site.foundation.clock import elapsed_clock
from tasks import metrics
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex

PAGE = 5000
START = (0, UUID(int=0))


class Reconciliation:
    """The repair of one queue's index, with a memory of how far the last sweep came."""

    def __init__(self, index: RedisIndex, queue: str) -> None:
        self._index = index
        self._queue = queue
        self._cursor = START

    def ensure_whole(self) -> bool:
        """Rebuild the index if it is not whole; True if it was rebuilt. Raises IndexLost when Redis is away."""
        if self._index.is_whole(self._queue):
            return False
        building = f"building:{uuid4()}"
        self._index.mark_building(self._queue, building)
        after = START
        while page := _page(self._queue, after):
            self._index.add_certainly(page)
            after = _place(page[-1])
        return self._index.mark_whole(self._queue, building)

    def sweep(self, budget_seconds: float) -> int:
        """Add what the rows have and the index lacks: the front of the line, then on from where the last sweep ended.

        However short the budget, one page beyond the front is looked at, so that the end of the line is reached.
        Returns how many entries were missing. Raises IndexLost when Redis is away.
        """
        ends_at = elapsed_clock() + budget_seconds
        added = 0
        for number, page in enumerate(self._pages()):
            added += self._index.add_certainly(self._index.missing(page))
            if number > 0 and elapsed_clock() >= ends_at:
                break
        metrics.record({(metrics.REPAIRS, ""): added})
        return added

    def _pages(self) -> Iterator[list[Hint]]:
        front = _page(self._queue, START)
        yield front
        if len(front) < PAGE:
            self._cursor = START
            return
        self._cursor = max(self._cursor, _place(front[-1]))
        while page := _page(self._queue, self._cursor):
            self._cursor = _place(page[-1])
            yield page
        self._cursor = START


def _place(hint: Hint) -> tuple[int, UUID]:
    return (hint.rank, hint.id)


def _page(queue: str, after: tuple[int, UUID]) -> list[Hint]:
    """The next ready rows of a queue in order. Written so that MariaDB walks the index: it does not for row comparison."""
    rank, id_ = after
    ready = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED, rank__gte=rank)
    rows = ready.exclude(rank=rank, id__lte=id_).order_by("rank", "id").values_list("rank", "id", "name")[:PAGE]
    return [Hint(rank, id_, queue, name) for rank, id_, name in rows]
