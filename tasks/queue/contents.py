"""What the index in Redis holds of one queue, as its repair sees and changes it: page by page, and never with a bell.

Everything here raises IndexLost when Redis is away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from redis import Redis

from dtq_site.foundation.lua import load_script
from tasks.queue import keys
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex

Place = tuple[int, UUID]
START: Place = (0, UUID(int=0))
END: Place = (2**53, UUID(int=2**128 - 1))

_BATCH = 500

_LUA = Path(__file__).parent / "lua"
_begin_rebuild = load_script(_LUA / "begin_rebuild.lua")
_page = load_script(_LUA / "page.lua")
_remove = load_script(_LUA / "remove.lua")


def place_of(hint: Hint) -> Place:
    """Where an entry stands."""
    return (hint.rank, hint.id)


@dataclass(frozen=True)
class View:
    """The entries of a stretch of the line, as far as it was read, and all that is being handed over."""

    entries: frozenset[Hint]
    in_flight: frozenset[Hint]
    reached: Place


class Contents:
    """One queue's part of the index."""

    def __init__(self, index: RedisIndex, queue: str) -> None:
        self._index = index
        self._queue = queue
        self._lanes = {"lanes": keys.lanes(queue)}
        self._line = {**self._lanes, "inflight": keys.inflight(queue)}

    def begin_rebuild(self, building: str) -> None:
        """Say that the index is being rebuilt under this mark, and forget all entries."""
        keys_, prefix = {**self._line, "whole": keys.whole(self._queue)}, keys.lane_prefix(self._queue)
        self._index.patiently(lambda client: _begin_rebuild(client, keys=keys_, lane_prefix=prefix, building=building))

    def load(self, hints: Sequence[Hint]) -> None:
        """Put entries into their lanes, whatever is there: for a rebuild, while nothing is handed out."""
        self._index.patiently(lambda client: self._load(client, hints))

    def _load(self, client: Redis, hints: Sequence[Hint]) -> None:
        by_name: dict[str, dict[str, int]] = defaultdict(dict)
        for hint in hints:
            by_name[hint.name][str(hint.id)] = hint.rank
        with client.pipeline(transaction=False) as pipeline:
            for name, ranks in by_name.items():
                pipeline.zadd(keys.lane(self._queue, name), ranks)
            pipeline.sadd(keys.lanes(self._queue), *by_name)
            pipeline.execute()

    def view(self, after: Place, upto: Place, limit: int) -> View:
        """The entries behind one place and up to another; where a lane has more than `limit`, as far as all were read."""
        in_flight, *lanes = self._index.patiently(
            lambda client: _page(
                client,
                keys=self._line,
                lane_prefix=keys.lane_prefix(self._queue),
                after_rank=after[0],
                after_id=str(after[1]),
                upto_rank=upto[0],
                upto_id=str(upto[1]),
                limit=limit,
            )
        )
        entries: list[Hint] = []
        reached = upto
        for name, flat in zip(lanes[::2], lanes[1::2], strict=True):
            lane = [Hint(int(rank), UUID(id_), self._queue, name) for id_, rank in zip(*[iter(flat)] * 2, strict=True)]
            entries += lane
            if len(lane) == limit:
                reached = min(reached, place_of(lane[-1]))
        seen = frozenset(entry for entry in entries if place_of(entry) <= reached)
        return View(seen, frozenset(map(self._handed_over, in_flight)), reached)

    def _handed_over(self, member: str) -> Hint:
        rank, id_, name = member.split(":", 2)
        return Hint(int(rank), UUID(id_), self._queue, name)

    def remove(self, hints: Sequence[Hint]) -> int:
        """Take entries out of their lanes that still stand at the same rank; returns how many did."""
        return sum(
            self._index.patiently(
                lambda client, batch=hints[start : start + _BATCH]: _remove(
                    client,
                    keys=self._lanes,
                    lane_prefix=keys.lane_prefix(self._queue),
                    entries=[[hint.name, str(hint.rank), str(hint.id)] for hint in batch],
                )
            )
            for start in range(0, len(hints), _BATCH)
        )
