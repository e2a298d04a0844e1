"""Compares the dispatch index in Redis with the rows and repairs it.

The index is whole while its marker stands and names the Redis process that it was built in: a restarted, failed-over or
restored Redis has another run id. Without the marker workers ask the rows, so a rebuild may take its time.

A look at a page merges two sorted sides, rows and entries. They are read one after the other, and the line moves
meanwhile: what an entry lacks is added once its row has been asked again, which at worst makes a hint that a claim refuses;
what a row lacks is taken away only at a second look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from dtq_site.foundation.clock import elapsed_clock
from tasks import metrics
from tasks.domain.priority import rank as rank_of
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.contents import END, START, Contents, Place, place_of
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex

PAGE = 5000
SECOND_LOOK = timedelta(seconds=1)
REPAIR_SECONDS = 1.0
"""How long a sweep that finds much to repair goes beyond its budget."""

_MOST_SUSPECTS = 100_000


@dataclass
class Findings:
    """What a sweep has found: how many entries were lacking and how many had no task, and tasks with yesterday's rank."""

    added: int = 0
    removed: int = 0
    misranked: list[UUID] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.misranked)

    def __iadd__(self, other: Findings) -> Findings:
        self.added += other.added
        self.removed += other.removed
        self.misranked += other.misranked
        return self


class Reconciliation:
    """The repair of one queue's index, with a memory of how far the last sweep came and of what it found odd."""

    def __init__(self, index: RedisIndex, queue: str) -> None:
        self._index = index
        self._contents = Contents(index, queue)
        self._queue = queue
        self._cursor = START
        self._suspects: dict[Hint, datetime] = {}

    def ensure_whole(self, *, trusted: bool = True) -> bool:
        """Rebuild the index if it is not whole, or not `trusted` to be; True if it was. Raises IndexLost when Redis is away."""
        if trusted and self._index.is_whole(self._queue):
            return False
        building = f"building:{uuid4()}"
        self._contents.begin_rebuild(building)
        after = START
        while page := [row.hint for row in _page(self._queue, after)]:
            self._contents.load(page)
            after = place_of(page[-1])
        return self._index.mark_whole(self._queue, building)

    def sweep(self, now: datetime, budget_seconds: float, level_ms: int) -> Findings:
        """Make entries equal to rows: at the front of the line, then on from where the last sweep ended.

        However short the budget, one page beyond the front is looked at, so that the end of the line is reached; while
        there is something to repair it goes on for longer. `level_ms` is the queue's ageing: rows that are ranked by another
        one are reported. Raises IndexLost when Redis is away.
        """
        begun = elapsed_clock()
        findings = Findings()
        for number, (after, rows) in enumerate(self._pages()):
            found, reached = self._look(after, rows, now)
            found.misranked = [row.hint.id for row in rows if row.hint.rank != row.rank_at(level_ms)]
            findings += found
            self._cursor = reached if number else max(self._cursor, reached)
            ends_after = REPAIR_SECONDS if found else budget_seconds
            if self._cursor == END or (number > 0 and elapsed_clock() - begun >= ends_after):
                break
        if self._cursor == END:
            self._cursor = START
        return findings

    @property
    def is_long(self) -> bool:
        """Whether the last sweep left a part of the line for the next."""
        return self._cursor != START

    def _pages(self) -> Iterator[tuple[Place, list[_Row]]]:
        yield START, _page(self._queue, START)
        while True:
            yield self._cursor, _page(self._queue, self._cursor)

    def _look(self, after: Place, rows: Sequence[_Row], now: datetime) -> tuple[Findings, Place]:
        """Compare one page; says how far it came: not to its end where the other side has more entries than fit."""
        ready = {row.hint for row in rows}
        upto = place_of(rows[-1].hint) if len(rows) == PAGE else END
        view = self._contents.view(after, upto, PAGE)
        lacking = {hint for hint in ready if place_of(hint) <= view.reached} - view.entries - view.in_flight
        found = Findings(self._add(lacking, now), self._remove(view.entries - ready, after, view.reached, now))
        return found, view.reached

    def _add(self, lacking: Collection[Hint], now: datetime) -> int:
        """Add what is still ready; what has been so for a while was lost, and no hint that is on its way."""
        since = self._ready_since(lacking)
        confirmed = [hint for hint in lacking if hint in since]
        added = self._index.add_certainly(confirmed)
        lost = sum(since[hint] <= now - SECOND_LOOK for hint in confirmed)
        metrics.record({(metrics.REPAIRS, ""): added, (metrics.DRIFT, metrics.MISSING): lost})
        return added

    def _remove(self, surplus: Collection[Hint], after: Place, upto: Place, now: datetime) -> int:
        """Remove what had no ready task at the look before either, a second ago or longer."""
        seen_before = {hint: seen for hint, seen in self._suspects.items() if after < place_of(hint) <= upto}
        for hint in seen_before:
            del self._suspects[hint]
        self._suspects |= {hint: seen_before.get(hint, now) for hint in surplus}
        while len(self._suspects) > _MOST_SUSPECTS:
            self._suspects.popitem()
        old = {hint for hint in surplus if hint in seen_before and seen_before[hint] <= now - SECOND_LOOK}
        removed = self._contents.remove(sorted(old - self._ready_since(old).keys()))
        metrics.record({(metrics.DRIFT, metrics.STALE): removed})
        return removed

    def _ready_since(self, hints: Collection[Hint]) -> dict[Hint, datetime]:
        """Those of the hints that are right, and when their rows changed last."""
        if not hints:
            return {}
        rows = Task.objects.filter(pk__in=[hint.id for hint in hints], status=TaskStatus.QUEUED)
        return {Hint(*row): since for *row, since in rows.values_list("rank", "id", "queue", "name", "updated_at")}


@dataclass(frozen=True)
class _Row:
    hint: Hint
    priority: int
    ready_ms: int

    def rank_at(self, level_ms: int) -> int:
        return rank_of(self.priority, self.ready_ms, level_ms)


def _page(queue: str, after: Place) -> list[_Row]:
    """The next ready rows of a queue in order.

    Two statements, so that MariaDB walks the index from the place on: it neither does for a comparison of rows, nor would one
    over `rank` alone pass quickly by many that are equal.
    """
    rank, id_ = after
    ready = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED).order_by("rank", "id")
    found: list[_Row] = []
    for stretch in (ready.filter(rank=rank, id__gt=id_), ready.filter(rank__gt=rank))[after == START :]:
        columns = stretch.values_list("rank", "id", "name", "priority", "ready_ms")[: PAGE - len(found)]
        found += [_Row(Hint(rank, id_, queue, name), *rest) for rank, id_, name, *rest in columns]
    return found
