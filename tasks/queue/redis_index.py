"""The dispatch index in Redis: lanes in order of rank, hand-overs with a deadline, bells for idle workers."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from dtq_site.foundation.clock import elapsed_clock, milliseconds
from dtq_site.foundation.lua import load_script
from dtq_site.foundation.redis_clients import Breaker
from tasks.queue import keys
from tasks.queue.audience import Audience
from tasks.queue.index import Hint, IndexLost

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

    The clients differ by their time-outs: `hints` has a short one, for callers who need no answer; `prompt` one that a
    worker can bear, as the rows can be asked instead; `patient` a long one, for sleeping on a bell and for repair.
    `add`, `confirm` and `drop` never fail their caller: what Redis misses the reconciler adds. `audience` is told by the way
    whether anybody listens to events.
    """

    def __init__(self, hints: Redis, prompt: Redis, patient: Redis) -> None:
        self._hints = hints
        self._prompt = prompt
        self._patient = patient
        self.audience = Audience()
        self._hint_breaker = Breaker(pause_seconds=0.2, longest_seconds=1.0)
        self._breaker = Breaker(longest_seconds=2.0)  # the index is to be right soon after Redis is back

    def add(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        # Many take longer than a hint may, and who makes many can wait for longer.
        client = self._hints if len(hints) <= _FEW else self._prompt
        self._hint_breaker.call(lambda: self._add(client, hints), 0)

    def add_certainly(self, hints: Sequence[Hint]) -> int:
        """As `add`, but raises IndexLost when Redis is away; returns how many were new."""
        return self._guarded(lambda: self._add(self._patient, hints))

    def _add(self, client: Redis, hints: Sequence[Hint]) -> int:
        total = 0
        for queue, group in _by_queue(hints):
            asked_at = elapsed_clock()
            added, listeners = _add(
                client,
                keys={"lanes": keys.lanes(queue), "inflight": keys.inflight(queue)},
                lane_prefix=keys.lane_prefix(queue),
                bell_prefix=keys.bell_prefix(queue),
                bell_seconds=keys.BELL_SECONDS,
                rings=keys.RINGS,
                events=keys.EVENTS,
                entries=_by_lane(group),
            )
            self.audience.note(asked_at, listeners)
            total += added
        return total

    def take(
        self, queue: str, names: Collection[str], limit: int, *, taker: UUID | None = None, now_ms: int = 0
    ) -> list[Hint]:
        """See DispatchIndex. A `taker` gets no more than its part of a short line, beside those that asked of late.

        At most MOST_TAKEN at once. `now_ms` stands in for Redis's own time in tests.
        """
        asked_at = elapsed_clock()
        answer = self._guarded(
            lambda: _take(
                self._prompt,
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
        self.audience.note(asked_at, int(listeners))
        parts = iter(words)
        return [Hint(int(rank), UUID(id_), queue, name) for rank, id_, name in zip(parts, parts, parts, strict=True)]

    def confirm(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        self._hint_breaker.call(lambda: self._remove(hints, lanes=False), None)

    def drop(self, hints: Sequence[Hint]) -> None:
        """See DispatchIndex."""
        self._hint_breaker.call(lambda: self._remove(hints, lanes=True), None)

    def _remove(self, hints: Sequence[Hint], *, lanes: bool) -> None:
        with self._hints.pipeline(transaction=False) as pipeline:
            for queue, group in _by_queue(hints):
                pipeline.zrem(keys.inflight(queue), *(f"{hint.rank}:{hint.id}:{hint.name}" for hint in group))
                for hint in group if lanes else ():
                    pipeline.zrem(keys.lane(queue, hint.name), str(hint.id))
            pipeline.execute()

    def depth(self, queue: str) -> int:
        """See DispatchIndex. Counts what is being handed over too. Raises IndexLost."""
        return self._guarded(lambda: self._depth(queue))

    def _depth(self, queue: str) -> int:
        names = self._prompt.smembers(keys.lanes(queue))
        with self._prompt.pipeline(transaction=False) as pipeline:
            pipeline.zcard(keys.inflight(queue))
            for name in names:
                pipeline.zcard(keys.lane(queue, name))
            return sum(pipeline.execute())

    def wait(self, queues: Collection[str], names: Collection[str], timeout_seconds: float) -> bool:
        """See DispatchIndex. Raises IndexLost at once when Redis is away."""
        bells = itertools.product(sorted(queues), sorted(names))
        rung = [keys.bell(queue, name) for queue, name in itertools.islice(bells, _MAX_BELLS)]
        seconds = min(timeout_seconds, _LONGEST_WAIT_SECONDS)
        if seconds <= 0 or not rung:  # Redis takes the one for "for ever" and the other for an error
            time.sleep(max(seconds, 0.0))
            return False
        self._guarded(self._prompt.ping)  # one that hangs must not keep a worker from the rows for long
        return self._guarded(lambda: self._patient.blpop(rung, timeout=seconds)) is not None

    def publish(self, message: bytes) -> None:
        """Tell those who listen to events, and note whether there are any. Never fails its caller."""
        asked_at = elapsed_clock()
        listeners = self._hint_breaker.call(lambda: self._hints.publish(keys.EVENTS, message), None)
        if listeners is not None:
            self.audience.note(asked_at, listeners)

    def announce_due(self, moment: datetime) -> None:
        """Tell the scheduler that a task waits until this moment. Never fails its caller."""
        self._hint_breaker.call(lambda: self._hints.publish(keys.DUE, milliseconds(moment)), None)

    # --- repair ----------------------------------------------------------------------------------------------------

    def patiently(self, operation: Callable[[Redis], Any]) -> Any:
        """What `operation` answers on the patient client. Raises IndexLost."""
        return self._guarded(lambda: operation(self._patient))

    def eviction_policy(self) -> str:
        """What Redis does when its memory is full; only `noeviction` leaves the index alone. Raises IndexLost."""
        return str(self.patiently(lambda client: client.info("memory")["maxmemory_policy"]))

    def is_whole(self, queue: str) -> bool:
        """Whether the marker stands and was set in the Redis process that answers now. Raises IndexLost."""
        return self._guarded(lambda: self._patient.get(keys.whole(queue)) == self._whole_mark())

    def mark_building(self, queue: str, mark: str) -> None:
        """Say that the index is being rebuilt under this mark. Raises IndexLost."""
        self._guarded(lambda: self._patient.set(keys.whole(queue), mark))

    def mark_whole(self, queue: str, building: str) -> bool:
        """Say that it is whole, if the rebuild's mark still stands; False after a flush in between. Raises IndexLost."""
        return self._guarded(
            lambda: bool(
                _finish_rebuild(
                    self._patient, keys={"whole": keys.whole(queue)}, building=building, finished=self._whole_mark()
                )
            )
        )

    def _whole_mark(self) -> str:
        return f"whole:{self._patient.info('server')['run_id']}"

    def _guarded(self, operation: Callable[[], Any]) -> Any:
        if not self._breaker.passing:
            raise IndexLost("Redis failed a moment ago")
        try:
            answer = operation()
        except RedisError as error:
            self._breaker.trip()
            raise IndexLost(str(error)) from error
        self._breaker.recover()
        return answer


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
