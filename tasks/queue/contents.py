"""What the index in Redis holds of one queue, as its repair sees and changes it: page by page, and never with a bell.

Pages are plain tuples and one text each on the wire: a line of a million tasks is read in seconds.
Everything here raises IndexLost when Redis is away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from dtq_site.foundation.lua import load_script
from tasks.queue import keys
from tasks.queue.redis_index import RedisIndex

Entry = tuple[int, str, str]
"""Rank, id and handler name of a task. Ids are texts: they sort like the ids themselves."""

Place = tuple[int, str]
"""Rank and id, by which a line is ordered."""

START: Place = (0, "00000000-0000-0000-0000-000000000000")
END: Place = (2**53, "ffffffff-ffff-ffff-ffff-ffffffffffff")

_BATCH = 500

_LUA = Path(__file__).parent / "lua"
_begin_rebuild, _load, _page, _remove = (
    load_script(_LUA / f"{name}.lua") for name in ("begin_rebuild", "load", "page", "remove")
)


@dataclass(frozen=True)
class View:
    """The entries of a stretch of the line, as far as it was read, and all that is being handed over."""

    entries: frozenset[Entry]
    in_flight: frozenset[Entry]
    reached: Place


class Contents:
    """One queue's part of the index."""

    def __init__(self, index: RedisIndex, queue: str) -> None:
        self._index = index
        self._queue = queue
        self._prefix = keys.lane_prefix(queue)
        self._lanes = {"lanes": keys.lanes(queue)}
        self._line = {**self._lanes, "inflight": keys.inflight(queue)}

    def _patiently(self, operation: Callable[[Redis], Any]) -> Any:
        return self._index.patiently(self._queue, operation)

    def begin_rebuild(self, building: str) -> None:
        """Say that the index is being rebuilt under this mark, and forget all entries."""
        marked = {**self._line, "whole": keys.whole(self._queue)}
        self._patiently(lambda client: _begin_rebuild(client, keys=marked, lane_prefix=self._prefix, building=building))

    def load(self, entries: Collection[Entry]) -> None:
        """Put entries into their lanes, whatever is there: for a rebuild, while nothing is handed out."""
        by_name: dict[str, list[str]] = defaultdict(list)
        for rank, id_, name in entries:
            by_name[name].append(f"{rank} {id_}")
        for name, texts in by_name.items():
            lane, text = {**self._lanes, "lane": keys.lane(self._queue, name)}, " ".join(texts)
            self._patiently(
                lambda client, lane=lane, name=name, text=text: _load(client, keys=lane, name=name, entries=text)
            )

    def view(self, after: Place, upto: Place, limit: int) -> View:
        """The entries behind one place and up to another; where a lane has more than `limit`, as far as all were read."""
        in_flight, *lanes = self._patiently(
            lambda client: _page(
                client,
                keys=self._line,
                lane_prefix=self._prefix,
                after_rank=after[0],
                after_id=after[1],
                upto_rank=upto[0],
                upto_id=upto[1],
                limit=limit,
            )
        )
        entries: list[Entry] = []
        reached = upto
        for name, text in zip(lanes[::2], lanes[1::2], strict=True):
            words = text.split()
            lane = [(int(rank), id_, name) for id_, rank in zip(words[::2], words[1::2], strict=True)]
            entries += lane
            if len(lane) == limit:
                reached = min(reached, lane[-1][:2])
        seen = entries if reached == upto else [entry for entry in entries if entry[:2] <= reached]
        return View(frozenset(seen), frozenset(map(_handed_over, in_flight)), reached)

    def remove(self, entries: Sequence[Entry]) -> int:
        """Take entries out of their lanes that still stand at the same rank; returns how many did."""
        texts = [[name, str(rank), id_] for rank, id_, name in entries]
        return sum(
            self._patiently(
                lambda client, batch=texts[start : start + _BATCH]: _remove(
                    client, keys=self._lanes, lane_prefix=self._prefix, entries=batch
                )
            )
            for start in range(0, len(texts), _BATCH)
        )


def _handed_over(member: str) -> Entry:
    rank, id_, name = member.split(":", 2)
    return (int(rank), id_, name)
