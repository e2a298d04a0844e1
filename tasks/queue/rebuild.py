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

from django.db import connection
from django.db.models import CharField
from django.db.models.functions import Cast

from dtq_site.foundation.clock import elapsed_clock
from tasks import metrics
from tasks.domain.priority import rank as rank_of
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.contents import END, START, Contents, Entry, Place
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
        self._suspects: dict[Entry, datetime] = {}

    def ensure_whole(self, *, trusted: bool = True) -> bool:
        """Rebuild the index if it is not whole, or not `trusted` to be; True if it was. Raises IndexLost when Redis is away."""
        if trusted and self._index.is_whole(self._queue):
            return False
        building = f"building:{uuid4()}"
        self._contents.begin_rebuild(building)
        after = START
        while page := _page(self._queue, after):
            self._contents.load([row[:3] for row in page])
            after = page[-1][:2]
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
            found.misranked = [
                UUID(id_) for rank, id_, _, priority, ready_ms in rows if rank != rank_of(priority, ready_ms, level_ms)
            ]
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

    def _pages(self) -> Iterator[tuple[Place, list[Row]]]:
        yield START, _page(self._queue, START)
        while True:
            yield self._cursor, _page(self._queue, self._cursor)

    def _look(self, after: Place, rows: Sequence[Row], now: datetime) -> tuple[Findings, Place]:
        """Compare one page; says how far it came: not to its end where the other side has more entries than fit."""
        ready: set[Entry] = {row[:3] for row in rows}
        upto = rows[-1][:2] if len(rows) == PAGE else END
        view = self._contents.view(after, upto, PAGE)
        lacking = {entry for entry in ready - view.entries - view.in_flight if entry[:2] <= view.reached}
        found = Findings(self._add(lacking, now), self._remove(view.entries - ready, after, view.reached, now))
        return found, view.reached

    def _add(self, lacking: Collection[Entry], now: datetime) -> int:
        """Add what is still ready; what has been so for a while was lost, and no hint that is on its way."""
        since = _ready_since(lacking)
        confirmed = sorted(entry for entry in lacking if entry in since)
        added = self._index.add_certainly([Hint(rank, UUID(id_), self._queue, name) for rank, id_, name in confirmed])
        lost = sum(since[entry] <= now - SECOND_LOOK for entry in confirmed)
        metrics.record({(metrics.REPAIRS, ""): added, (metrics.DRIFT, metrics.MISSING): lost})
        return added

    def _remove(self, surplus: Collection[Entry], after: Place, upto: Place, now: datetime) -> int:
        """Remove what had no ready task at the look before either, a second ago or longer."""
        seen_before = {entry: seen for entry, seen in self._suspects.items() if after < entry[:2] <= upto}
        for entry in seen_before:
            del self._suspects[entry]
        self._suspects |= {entry: seen_before.get(entry, now) for entry in surplus}
        while len(self._suspects) > _MOST_SUSPECTS:
            self._suspects.popitem()
        old = {entry for entry in surplus if entry in seen_before and seen_before[entry] <= now - SECOND_LOOK}
        removed = self._contents.remove(sorted(old - _ready_since(old).keys()))
        metrics.record({(metrics.DRIFT, metrics.STALE): removed})
        return removed


Row = tuple[int, str, str, int, int]
"""The entry that a ready row should have, its priority, and since when its age counts."""


def _page(queue: str, after: Place) -> list[Row]:
    """The next ready rows of a queue in order.

    Two statements, so that MariaDB walks the index from the place on: it neither does for a comparison of rows, nor would one
    over `rank` alone pass quickly by many that are equal.
    """
    rank, id_ = after
    ready = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED).order_by("rank", "id")
    found: list[Row] = []
    for stretch in (ready.filter(rank=rank, id__gt=id_), ready.filter(rank__gt=rank))[after == START :]:
        columns = stretch.values_list("rank", _ID, "name", "priority", "ready_ms")[: PAGE - len(found)]
        found += columns if connection.features.has_native_uuid_field else map(_with_dashes, columns)
    return found


_ID = Cast("id", CharField())  # for the text: making a UUID of it and a text again takes most of a sweep's time


def _with_dashes(row: Row) -> Row:
    rank, id_, *others = row
    return (rank, "-".join((id_[:8], id_[8:12], id_[12:16], id_[16:20], id_[20:])), *others)


def _ready_since(entries: Collection[Entry]) -> dict[Entry, datetime]:
    """Those of the entries that are right, and when their rows changed last."""
    if not entries:
        return {}
    rows = Task.objects.filter(pk__in=[id_ for _, id_, _ in entries], status=TaskStatus.QUEUED)
    return {
        (rank, str(id_), name): since for rank, id_, name, since in rows.values_list("rank", "id", "name", "updated_at")
    }
