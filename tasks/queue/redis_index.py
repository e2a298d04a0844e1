"""The dispatch index in Redis: lanes in order of rank, hand-overs with a deadline, bells for idle workers."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from redis import Redis

from dtq_site.foundation.clock import elapsed_clock, milliseconds
from dtq_site.foundation.lua import load_script
from tasks.queue import keys
from tasks.queue.audience import Audience
from tasks.queue.index import Hint, IndexLost
from tasks.queue.shards import OneShard, Shard, Shards

VISIBILITY_MS = 2000
"""How long a worker may take from being handed a task to having claimed its row."""

TAKER_MS = 1500
"""How long a worker counts among those that share a line: longer than an idle one sleeps between two takes."""

MOST_TAKEN = 2000
"""How many tasks one take hands over: what the script can pass on in one call."""

_LONGEST_WAIT_SECONDS = 4.0  # the patient client gives up on an answer after five
_BATCH = 1000  # a script call with so many takes Redis a few milliseconds
_FEW = 50
_MAX_BELLS = 2000

_LUA = Path(__file__).parent / "lua"
_add = load_script(_LUA / "add.lua")
_take = load_script(_LUA / "take.lua")
_finish_rebuild = load_script(_LUA / "finish_rebuild.lua")


class RedisIndex:
    """A DispatchIndex in Redis.

    `signals` is the server at which people wait and listen: bells, rings, events. Where the lines are there too, the scripts
    that change them ring by the way; for `shards` elsewhere the bells are rung afterwards.
    `add`, `confirm` and `drop` never fail their caller: what Redis misses the reconciler adds. `audience` is told by the way
    whether anybody listens to events.
    """

    def __init__(self, signals: Shard, shards: Shards | None = None) -> None:
        self._signals = signals
        self._shards = shards or OneShard(signals)
        self.audience = Audience()

    def add(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        few = len(hints) <= _FEW  # many take longer than a hint may, and who makes many can wait for longer
        for queue, group in _by_queue(hints):
            shard = self._shard_of(queue)
            if shard is not None:
                shard.hint(partial(self._add, shard, shard.hints if few else shard.prompt, queue, group), 0)
            if shard is not self._signals:
                self._ring(queue, group)  # even if its line was not told: who wakes looks at the rows

    def add_certainly(self, hints: Sequence[Hint]) -> int:
        """As `add`, but raises IndexLost when Redis is away; returns how many were new."""
        total = 0
        for queue, group in _by_queue(hints):
            shard = self._shards.of(queue)
            total += shard.certainly(partial(self._add, shard, shard.patient, queue, group))
            if shard is not self._signals:
                self._ring(queue, group)
        return total

    def _add(self, shard: Shard, client: Redis, queue: str, hints: Sequence[Hint]) -> int:
        is_heard = shard is self._signals
        asked_at = elapsed_clock()
        added, listeners = _add(
            client,
            keys={"lanes": keys.lanes(queue), "inflight": keys.inflight(queue)},
            queue=queue,
            lane_prefix=keys.lane_prefix(queue),
            bell_prefix=keys.bell_prefix(queue),
            bells_of_all=keys.BELLS_OF_ALL,
            bell_seconds=keys.BELL_SECONDS,
            most_rings=keys.MOST_RINGS if is_heard else 0,
            rings=keys.RINGS,
            events=keys.EVENTS,
            entries=_by_lane(hints),
        )
        if is_heard:
            self.audience.note(asked_at, listeners)
        return added

    def _ring(self, queue: str, hints: Sequence[Hint]) -> None:
        lanes = Counter(hint.name for hint in hints)
        self._signals.hint(partial(_ring, self._signals.hints, queue, lanes), None)

    def take(
        self, queue: str, names: Collection[str], limit: int, *, taker: UUID | None = None, now_ms: int = 0
    ) -> list[Hint]:
        """See DispatchIndex. A `taker` gets no more than its part of a short line, beside those that asked of late.

        At most MOST_TAKEN at once. `now_ms` stands in for Redis's own time in tests.
        """
        shard = self._shards.of(queue)
        asked_at = elapsed_clock()
        answer = shard.certainly(
            lambda: _take(
                shard.prompt,
                keys={
                    "inflight": keys.inflight(queue),
                    "lanes": keys.lanes(queue),
                    "whole": keys.whole(queue),
                    "takers": keys.takers(queue),
                },
                lane_prefix=keys.lane_prefix(queue),
                names=sorted(names),
                limit=min(limit, MOST_TAKEN),
                taker=str(taker or ""),
                taker_ms=TAKER_MS,
                visibility_ms=VISIBILITY_MS,
                now_ms=now_ms,
                events=keys.EVENTS,
            )
        )
        if answer == "LOST":
            raise IndexLost(f"the index of queue {queue} is not whole")
        listeners, *words = answer.split()
        if shard is self._signals:
            self.audience.note(asked_at, int(listeners))
        parts = iter(words)
        return [Hint(int(rank), UUID(id_), queue, name) for rank, id_, name in zip(parts, parts, parts, strict=True)]

    def each(self, queues: Collection[str], look: Callable[[Shard, Sequence[str]], Collection[str]]) -> frozenset[str]:
        """What `look` finds among the queues of each server, together. Raises IndexLost when one of them is away."""
        groups: dict[Shard, list[str]] = defaultdict(list)
        for queue in queues:
            groups[self._shards.of(queue)].append(queue)
        found = (shard.certainly(partial(look, shard, part)) for shard, part in groups.items())
        return frozenset(itertools.chain.from_iterable(found))

    def confirm(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        self._remove(hints, lanes=False)

    def drop(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        self._remove(hints, lanes=True)

    def _remove(self, hints: Sequence[Hint], *, lanes: bool) -> None:
        groups: dict[Shard, list[tuple[str, list[Hint]]]] = defaultdict(list)
        for queue, group in _by_queue(hints):
            shard = self._shard_of(queue)
            if shard is not None:
                groups[shard].append((queue, group))
        for shard, parts in groups.items():
            shard.hint(partial(_remove, shard.hints, parts, lanes), None)

    def depth(self, queue: str) -> int:
        """See DispatchIndex. Counts what is being handed over too. Raises IndexLost."""
        shard = self._shards.of(queue)
        return shard.certainly(lambda: _depth(shard.prompt, queue))

    def wait(self, queues: Collection[str] | None, names: Collection[str], timeout_seconds: float) -> str | None:
        """See DispatchIndex. Raises IndexLost at once when Redis is away."""
        bells = list(itertools.islice(_bells(queues, names), _MAX_BELLS))
        seconds = min(timeout_seconds, _LONGEST_WAIT_SECONDS)
        if seconds <= 0 or not bells:  # Redis takes the one for "for ever" and the other for an error
            time.sleep(max(seconds, 0.0))
            return None
        signals = self._signals
        signals.certainly(signals.prompt.ping)  # one that hangs must not keep a worker from the rows for long
        rung = signals.certainly(lambda: signals.patient.blpop(bells, timeout=seconds))
        return None if rung is None else rung[1]

    def publish(self, message: bytes) -> None:
        """Tell those who listen to events, and note whether there are any. Never fails its caller."""
        asked_at = elapsed_clock()
        listeners = self._signals.hint(lambda: self._signals.hints.publish(keys.EVENTS, message), None)
        if listeners is not None:
            self.audience.note(asked_at, listeners)

    def announce_due(self, moment: datetime) -> None:
        """Tell the scheduler that a task waits until this moment. Never fails its caller."""
        self._signals.hint(lambda: self._signals.hints.publish(keys.DUE, milliseconds(moment)), None)

    def _shard_of(self, queue: str) -> Shard | None:
        try:
            return self._shards.of(queue)
        except IndexLost:
            return None

    # --- repair ----------------------------------------------------------------------------------------------------

    def patiently(self, queue: str, operation: Callable[[Redis], Any]) -> Any:
        """What `operation` answers on the patient client of the server that has this queue's line. Raises IndexLost."""
        shard = self._shards.of(queue)
        return shard.certainly(lambda: operation(shard.patient))

    def eviction_policies(self) -> set[str]:
        """What servers of the index do when their memory is full; only `noeviction` leaves it alone. Raises IndexLost."""
        return {
            shard.certainly(lambda shard=shard: shard.patient.info("memory")["maxmemory_policy"])
            for shard in self._shards.all()
        }

    def ping(self) -> None:
        """Raise IndexLost unless every server of the index answers."""
        for shard in self._shards.all():
            shard.certainly(shard.prompt.ping)

    def whole_mark(self, queue: str) -> str:
        """What the marker says once the Redis process that answers now has everything. Raises IndexLost."""
        return self.patiently(queue, mark_of)

    def is_whole(self, queue: str) -> bool:
        """Whether the marker stands and was set in the Redis process that answers now. Raises IndexLost."""
        return self.patiently(queue, lambda client: client.get(keys.whole(queue)) == mark_of(client))

    def mark_whole(self, queue: str, building: str, finished: str) -> bool:
        """Say that it is whole, if the rebuild's mark still stands; False after a flush in between. Raises IndexLost.

        `finished` is the `whole_mark` from before the rebuild: if another server has taken its place since, and has perhaps
        missed a part, the marker names the wrong one.
        """
        marked = {"whole": keys.whole(queue)}
        return self.patiently(
            queue,
            lambda client: bool(_finish_rebuild(client, keys=marked, building=building, finished=finished)),
        )


def mark_of(client: Redis) -> str:
    """The marker of what is whole in the Redis process that answers now."""
    return f"whole:{client.info('server')['run_id']}"


def _ring(client: Redis, queue: str, lanes: Mapping[str, int]) -> None:
    """What add.lua does to the bells of lanes that have grown, without a look at how many have."""
    with client.pipeline(transaction=False) as pipeline:
        for name, count in lanes.items():
            for bell in (keys.bell(queue, name), keys.bell_of_all(name)):
                pipeline.rpush(bell, *[queue] * min(count, keys.MOST_RINGS))
                pipeline.ltrim(bell, 0, keys.MOST_RINGS - 1)
                pipeline.expire(bell, keys.BELL_SECONDS)
            pipeline.publish(keys.RINGS, keys.bell(queue, name))
        pipeline.execute()


def _bells(queues: Collection[str] | None, names: Collection[str]) -> Iterator[str]:
    if queues is None:
        return map(keys.bell_of_all, sorted(names))
    return itertools.starmap(keys.bell, itertools.product(sorted(queues), sorted(names)))


def _remove(client: Redis, groups: Sequence[tuple[str, Sequence[Hint]]], lanes: bool) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for queue, group in groups:
            pipeline.zrem(keys.inflight(queue), *(f"{hint.rank}:{hint.id}:{hint.name}" for hint in group))
            for hint in group if lanes else ():
                pipeline.zrem(keys.lane(queue, hint.name), str(hint.id))
        pipeline.execute()


def _depth(client: Redis, queue: str) -> int:
    names = client.smembers(keys.lanes(queue))
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zcard(keys.inflight(queue))
        for name in names:
            pipeline.zcard(keys.lane(queue, name))
        return sum(pipeline.execute())


def _by_queue(hints: Sequence[Hint]) -> Iterator[tuple[str, list[Hint]]]:
    groups: dict[str, list[Hint]] = defaultdict(list)
    for hint in hints:
        groups[hint.queue].append(hint)
    for queue, group in groups.items():
        for start in range(0, len(group), _BATCH):
            yield queue, group[start : start + _BATCH]


def _by_lane(hints: Sequence[Hint]) -> dict[str, list[str]]:
    lanes: dict[str, list[str]] = defaultdict(list)
    for hint in hints:
        lanes[hint.name] += str(hint.rank), str(hint.id)
    return lanes
