"""Compares the dispatch index in Redis with the rows and repairs it.

The index is whole while its marker stands and names the Redis process that it was built in: a restarted, failed-over or
restored Redis has another run id. Without the marker workers ask the rows, so a rebuild may take its time.

A look at a page merges two sorted sides, rows and entries. They are read one after the other, and the line moves
meanwhile: what the index lacks is added once its row has been asked again, which at worst makes a hint that a claim refuses;
what the rows lack is taken away only at a second look.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import CharField
from django.db.models.functions import Cast

from dtq_site.foundation.clock import elapsed_clock
from tasks import metrics
from tasks.domain.priority import STRICT_WEIGHT
from tasks.domain.priority import rank as rank_of
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.contents import END, START, Contents, Entry, Place
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex

PAGE = 5000
SECOND_LOOK = timedelta(seconds=1)
THOROUGH_EVERY = 10
REPAIR_SECONDS = 1.0
"""How long a sweep that finds much to repair goes beyond its budget."""

_MOST_SUSPECTS = 100_000


@dataclass
class Findings:
    """What a sweep has found: how many entries were lacking, how many had no task, and which tasks stand in wrong places."""

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
        self._level_ms = STRICT_WEIGHT
        self._passes = 0
        self._misranked_in_pass = False

    @property
    def is_long(self) -> bool:
        """Whether the last sweep left a part of the line for the next."""
        return self._cursor != START

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing of the last sweeps is left to come back to."""
        return not self.is_long and not self._suspects

    def ensure_whole(self, *, trusted: bool = True) -> bool:
        """Rebuild the index if it is not whole, or not `trusted` to be; True if it was. Raises IndexLost when Redis is away."""
        if trusted and self._index.is_whole(self._queue):
            return False
        building, finished = f"building:{uuid4()}", self._index.whole_mark(self._queue)
        self._contents.begin_rebuild(building)
        after = START
        while page := _page(self._queue, after):
            self._contents.load(page)
            after = page[-1][:2]
        return self._index.mark_whole(self._queue, building, finished)

    def sweep(self, now: datetime, budget_seconds: float, level_ms: int) -> Findings:
        """Make entries equal to rows: at the front of the line, then on from where the last sweep ended.

        However short the budget, one page beyond the front is looked at, so that the end of the line is reached; while there
        is something to repair it goes on for longer. Tasks whose rank is not what `level_ms`, the queue's ageing, asks for
        are reported. Raises IndexLost when Redis is away.
        """
        if level_ms != self._level_ms:
            self._level_ms, self._cursor, self._passes = level_ms, START, 0
        begun = elapsed_clock()
        findings = Findings()
        for at_front in itertools.chain([True], itertools.repeat(False)):
            after = START if at_front else self._cursor
            found, reached = self._look(after, self._rows(after, at_front), now)
            findings += found
            self._go_on_from(max(self._cursor, reached), bool(found.misranked))
            allowed = REPAIR_SECONDS if found else budget_seconds
            if not self.is_long or (not at_front and elapsed_clock() - begun >= allowed):
                break
        return findings

    def _go_on_from(self, place: Place, misranked: bool) -> None:
        self._misranked_in_pass |= misranked
        self._cursor = place
        if place == END:
            self._passes = 0 if self._misranked_in_pass else self._passes + 1
            self._cursor, self._misranked_in_pass = START, False

    def _rows(self, after: Place, at_front: bool) -> _Rows:
        """A page. What ranks are made of only the rows tell: they are asked at the front, after a change of the ageing, and
        now and then.
        """
        if at_front or self._passes % THOROUGH_EVERY == 0:
            rows = _page(self._queue, after, "priority", "ready_ms")
            level = self._level_ms
            wrong = [UUID(row[1]) for row in rows if row[0] != rank_of(row[3], row[4], level)]
            return _Rows([row[:3] for row in rows], wrong)
        return _Rows(_page(self._queue, after), [])

    def _look(self, after: Place, rows: _Rows, now: datetime) -> tuple[Findings, Place]:
        """Compare one page; says how far it came: not to its end where the other side has more entries than fit."""
        ready = frozenset(rows.entries)
        upto = rows.entries[-1][:2] if len(rows.entries) == PAGE else END
        view = self._contents.view(after, upto, PAGE)
        lacking = {entry for entry in ready - view.entries - view.in_flight if entry[:2] <= view.reached}
        surplus = view.entries - ready
        added, removed = self._add(lacking, now), self._remove(surplus, after, view.reached, now)
        return Findings(added, removed, rows.misranked), view.reached

    def _add(self, lacking: Collection[Entry], now: datetime) -> int:
        """Add what is still ready; what has been so for a while was lost, and no hint that is on its way."""
        since = _ready_since(self._queue, lacking)
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
        removed = self._contents.remove(sorted(old - _ready_since(self._queue, old).keys()))
        metrics.record({(metrics.DRIFT, metrics.STALE): removed})
        return removed


@dataclass(frozen=True)
class _Rows:
    entries: list[Entry]
    misranked: list[UUID]


def _page(queue: str, after: Place, *more: str) -> list:
    """What the next ready rows of a queue should have in the index of Redis, in order; without `more` columns beside it
    read from `task_line` alone.

    Two statements, so that MariaDB walks it from the place on: it neither does for a comparison of rows, nor would one over
    `rank` alone pass quickly by many that are equal.
    """
    rank, id_ = after
    ready = Task.objects.filter(queue=queue, status=TaskStatus.QUEUED).order_by("rank", "id")
    found: list = []
    for stretch in (ready.filter(rank=rank, id__gt=id_), ready.filter(rank__gt=rank))[after == START :]:
        columns = stretch.values_list("rank", _ID, "name", *more)[: PAGE - len(found)]
        found += columns if connection.features.has_native_uuid_field else map(_with_dashes, columns)
    return found


_ID = Cast("id", CharField())  # for the text: making a UUID of it and a text again takes most of a sweep's time


def _with_dashes(row: tuple) -> tuple:
    rank, id_, *others = row
    return (rank, "-".join((id_[:8], id_[8:12], id_[12:16], id_[16:20], id_[20:])), *others)


def _ready_since(queue: str, entries: Collection[Entry]) -> dict[Entry, datetime]:
    """Those of the queue's entries that are right, and when their rows changed last."""
    if not entries:
        return {}
    rows = Task.objects.filter(pk__in=[id_ for _, id_, _ in entries], queue=queue, status=TaskStatus.QUEUED)
    columns = rows.values_list("rank", "id", "name", "updated_at")
    return {(rank, str(id_), name): since for rank, id_, name, since in columns}
