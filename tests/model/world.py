"""The product as the model runs it: on the run's database and Redis, one thread, a clock moved by hand, faults on demand."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection
from redis import Redis

from dtq_site.foundation import clock, lua
from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import Conflict
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.redis_clients import Breaker
from scheduling.duties.dependency_keeper import DependencyKeeper
from scheduling.duties.promoter import Promoter
from scheduling.duties.reaper import Reaper
from scheduling.duties.reconciler import Reconciler
from scheduling.runtime.duty import Duty
from tasks import lifecycle, queues
from tasks.domain.outcome import OutcomeVerdict
from tasks.domain.states import TERMINAL, TaskStatus
from tasks.models import Dependency, MetricSum, Queue, Task, TaskAttempt, TaskLog, UnfollowedEnd
from tasks.queue import database_index, dispatch, keys, rebuild, redis_index, shards
from tasks.queue.index import Hint
from tests.model.acting import Acting
from tests.model.events import FOLLOWING, REAPED, Event
from tests.model.faults import Faults, install
from tests.model.ledger import Ledger
from tests.support.factories import LEASE, START, ManualClock, completed, forget_what_processes_remember, make_team
from workers import gateway
from workers.gateway import Caller, retry_policy

QUEUES = ("default", "bulk")
NAMES = ("job", "mail")


class World:
    """Everything that rules act on; `begin` makes it new."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.clock = ManualClock()
        self.faults = Faults()
        self.ledger = Ledger(self.clock.now, retry_policy())
        self.teams = [make_team(name).pk for name in ("first", "second")]
        self.callers = [
            Caller(UUID(int=0xA), frozenset(NAMES)),
            Caller(UUID(int=0xB), frozenset(NAMES[:1]), frozenset(QUEUES[:1])),
            Caller(UUID(int=0xC), frozenset(NAMES), team_id=self.teams[0]),
        ]
        self.redis = Redis.from_url(settings.REDIS_URL)
        self.is_watched = False
        install(self.faults, self._look, patch)
        self._move_clocks_by_hand(patch)
        self._note_what_stands(patch)
        patch.setattr(rebuild, "PAGE", 2)
        patch.setattr(shards, "_TIMEOUTS", (30.0, 30.0, 30.0))  # a busy machine is no fault of the model's choosing

    def _move_clocks_by_hand(self, patch: pytest.MonkeyPatch) -> None:
        def elapsed() -> float:
            return self.clock.moment.timestamp()

        ours = [
            module for name, module in sys.modules.items() if name.startswith(("tasks.", "workers.", "scheduling."))
        ]
        for module in ours:
            if getattr(module, "elapsed_clock", None) is clock.elapsed_clock:
                patch.setattr(module, "elapsed_clock", elapsed)
        patch.setattr(database_clock, "_sample", clock.host_now)  # for ids: no statement every ten seconds
        patch.setitem(Breaker.__init__.__kwdefaults__, "clock", elapsed)

    def _note_what_stands(self, patch: pytest.MonkeyPatch) -> None:
        take_hints, take_rows = redis_index.RedisIndex.take, database_index.DatabaseIndex.take

        def from_redis(index: Any, queue: str, names: Collection[str], limit: int, **options: Any) -> list[Hint]:
            with self.faults.quiet():
                self.ledger.acting.standing = self.standing(queue, names)
            return take_hints(index, queue, names, limit, now_ms=milliseconds(self.clock.now()), **options)

        def from_rows(index: Any, queue: str, names: Collection[str], limit: int, **options: Any) -> list[Hint]:
            team_id = options.get("team_id")
            rows = [row for row in self.ledger.rows.values() if row.name in names and team_id in (None, row.team_id)]
            self.ledger.acting.standing = [Hint(row.rank, row.id, row.queue, row.name) for row in rows]
            return take_rows(index, queue, names, limit, **options)

        patch.setattr(redis_index.RedisIndex, "take", from_redis)
        patch.setattr(database_index.DatabaseIndex, "take", from_rows)

    def _look(self) -> None:
        if self.is_watched:
            self.ledger.look()

    def begin(self) -> None:
        """No tasks, two queues, an empty Redis, and a process that remembers nothing."""
        self.is_watched = False
        for model in (TaskAttempt, TaskLog, Dependency, UnfollowedEnd, Task, MetricSum, Queue):
            model.objects.all()._raw_delete("default")
        self.clock.moment = START
        if connection.vendor == "sqlite":
            connection.cursor().execute("PRAGMA synchronous = OFF")  # nothing here is about a loss of power
        self.faults.redis_is_away = False
        self.redis.flushdb()
        for path in (Path(redis_index.__file__).parent / "lua").glob("*.lua"):  # so that each takes one step, not two
            self.redis.script_load(lua.load_script(path).text)
        forget_what_processes_remember()
        queues.ensure(QUEUES, START)
        self.ledger, self.is_watched = Ledger(self.clock.now, retry_policy()), True
        self.reaper, self.promoter = self._duty(Reaper), self._duty(Promoter)
        self.dependency_keeper = self._duty(DependencyKeeper)
        self.start_schedulers()

    def start_schedulers(self) -> None:
        """Two, as while one takes over from the other: each remembers what its reconciler has seen, until it dies."""
        self.reconcilers = [self._duty(Reconciler), self._duty(Reconciler)]

    def _duty(self, kind: type[Duty]) -> Duty:
        return kind(Observer(), self.clock, SimpleNamespace(up_for=lambda now: timedelta(days=1)))

    def claiming(self, caller: Caller, claim_id: UUID) -> Acting:
        """What a claim of this caller may cause."""
        events = frozenset({Event.CLAIMED})
        return Acting(self.clock.now(), events, claim_id=claim_id, names=caller.names, team_id=caller.team_id)

    # --- healing ---------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """No more faults, duties that are done, and a worker that completes what it gets by the index: all has to end."""
        self.faults.redis_is_away = False
        for queue in QUEUES:
            queues.resume(queue)
        for _ in range(10):
            self.clock.advance(60)
            self._repair()
            self._retry_what_holds_others()
            self._work()
            if all(row.status in TERMINAL for row in self.ledger.rows.values()):
                break
        left = [row.status for row in self.ledger.rows.values() if row.status not in TERMINAL]
        assert not left, "accepted, and never ends"
        self.clock.advance(60)
        self._work()
        for queue in QUEUES:
            assert self.in_lanes(queue) + self.in_flight(queue) == [], "the index knows of tasks that have ended"

    def _repair(self) -> None:
        nothing: frozenset[Event] = (
            frozenset()
        )  # whatever ends has freed those that needed it, so the keeper finds none
        for duty, events in (
            (self.reaper, REAPED),
            (self.promoter, frozenset({Event.PROMOTED})),
            (self.dependency_keeper, nothing),
            (self.reconcilers[0], nothing),
        ):
            for _ in range(4):
                with self.ledger.served(Acting(self.clock.now(), events)):
                    duty.perform(self.clock.advance(1))
        for queue in QUEUES:
            assert dispatch.redis_index().is_whole(queue), "workers are left without the index"
            lanes, ready = set(self.in_lanes(queue)), set(self.ready(queue))
            assert lanes <= ready <= lanes.union(self.in_flight(queue)), "the index is not repaired"

    def _retry_what_holds_others(self) -> None:
        for task_id in sorted(self.ledger.held_by_what_has_failed()):
            acting = Acting(self.clock.now(), frozenset({Event.RETRIED}), tasks=frozenset({task_id}))
            with self.ledger.served(acting), suppress(Conflict):  # what it depends on itself may have been deleted
                lifecycle.retry(task_id, self.clock.now())

    def _work(self) -> None:
        caller, claim_id = self.callers[0], uuid4()
        with self.ledger.served(self.claiming(caller, claim_id)):
            tasks = gateway.claim(caller, claim_id, 100, LEASE, clock=self.clock)
        outcomes = tuple(completed(task.lease, task.lease.fencing_token) for task in tasks)
        with self.ledger.served(Acting(self.clock.now(), FOLLOWING | {Event.SETTLED}, outcomes=outcomes)):
            verdicts = gateway.report(outcomes, self.clock)
        assert set(verdicts.values()) <= {OutcomeVerdict.ACCEPTED}, "a holder's report is refused"

    # --- Redis -----------------------------------------------------------------------------------------------------

    def standing(self, queue: str, names: Collection[str]) -> list[Hint]:
        """What a take of these names would choose from: the lanes, and hand-overs whose time is up."""
        late = self.redis.zrangebyscore(keys.inflight(queue), "-inf", milliseconds(self.clock.now()))
        return self.in_lanes(queue, names) + [hint for hint in _handed_over(queue, late) if hint.name in names]

    def in_lanes(self, queue: str, names: Collection[str] = NAMES) -> list[Hint]:
        """The entries of these lanes."""
        return [
            Hint(int(rank), UUID(id_.decode()), queue, name)
            for name in sorted(names)
            for id_, rank in self.redis.zrange(keys.lane(queue, name), 0, -1, withscores=True)
        ]

    def in_flight(self, queue: str) -> list[Hint]:
        """What is being handed over."""
        return _handed_over(queue, self.redis.zrange(keys.inflight(queue), 0, -1))

    def ready(self, queue: str) -> list[Hint]:
        """What the index should have."""
        rows = [row for row in self.ledger.rows.values() if row.queue == queue and row.status == TaskStatus.QUEUED]
        return [Hint(row.rank, row.id, queue, row.name) for row in rows]

    def lose_an_entry(self, number: int) -> None:
        """Have one entry vanish from a lane, or from what is being handed over."""
        found = [(keys.lane(queue, hint.name), str(hint.id)) for queue in QUEUES for hint in self.in_lanes(queue)]
        for queue in QUEUES:
            found += [(keys.inflight(queue), member) for member in self.redis.zrange(keys.inflight(queue), 0, -1)]
        for key, member in found[number : number + 1]:
            self.redis.zrem(key, member)

    def snapshot(self) -> dict[bytes, bytes]:
        """All that Redis has, as it could be put back."""
        return {key: self.redis.dump(key) for key in sorted(self.redis.keys())}

    def restore(self, snapshot: dict[bytes, bytes], *, in_another_process: bool) -> None:
        """Have Redis come back with older data; after a restart its process has another name than the marks say."""
        self.redis.flushdb()
        for key, value in snapshot.items():
            self.redis.restore(key, 0, value)
        for queue in QUEUES if in_another_process else ():
            if self.redis.exists(keys.whole(queue)):
                self.redis.set(keys.whole(queue), "whole:a process that has ended")


def _handed_over(queue: str, members: Sequence[bytes]) -> list[Hint]:
    parts = [member.decode().split(":", 2) for member in members]
    return [Hint(int(rank), UUID(id_), queue, name) for rank, id_, name in parts]
