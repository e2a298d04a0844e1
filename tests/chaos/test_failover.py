"""Redis fails over under load, to a replica by Sentinels and within a cluster: the whole installation, judged as under fire."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.domain.priority import LEVELS, rank
from tests.chaos.cluster import Cluster, Shape
from tests.chaos.evidence import Row
from tests.chaos.run import Run, play
from tests.support.processes import holding_processes
from tests.support.redis_topologies import RedisClusterServers, SentinelTrio
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

RUN = Run(seed=8, tasks=2000, seconds=36.0, shape=Shape())
NORMAL_SECONDS = 1.0


@dataclass(frozen=True)
class Failover:
    """A server dies or hangs `at` seconds into the run, and is back after `seconds`, when another has its place."""

    at: float
    kind: str
    seconds: float

    @property
    def ends_at(self) -> float:
        """When it is back."""
        return self.at + self.seconds


PLAN = (Failover(4.0, "kill -9", 5.0), Failover(22.0, "suspend", 6.0))
"""Between the two lies what Sentinels take to make a replica of a master that has come back: some eight seconds."""


class Victims:
    """Breaks the server that `find` names at that moment, and mends it."""

    def __init__(self, find: Callable[[], RedisServer | None]) -> None:
        self._find = find
        self._broken: list[RedisServer] = []
        self.moments: list[float] = []

    def begin(self, _: Cluster, failover: Failover) -> None:
        """Break it."""
        victim = eventually(self._find, 10)
        self._broken.append(victim)
        self.moments.append(time.time())
        if failover.kind == "suspend":
            victim.freeze()
        else:
            victim.kill()

    def end(self, _: Cluster, failover: Failover) -> None:
        """Let it come back: the other one has its place by now."""
        victim = self._broken.pop()
        assert self._find() is not victim
        if failover.kind == "suspend":
            victim.thaw()
        else:
            victim.start()


def test_a_failover_by_sentinels_under_load_loses_nothing(tmp_path: Path):
    trio = SentinelTrio(tmp_path / "trio")

    def master() -> RedisServer | None:
        port = trio.master_port()
        return next((server for server in (trio.master, trio.replica) if server.port == port), None)

    trio.start()
    try:
        hold_the_trial(tmp_path, Victims(master), REDIS_URL=trio.url)
    finally:
        trio.stop()
    assert holding_processes(tmp_path) == {}


def test_a_failover_within_a_cluster_under_load_loses_nothing(tmp_path: Path):
    servers = RedisClusterServers(tmp_path / "nodes", with_replicas=True)
    servers.start()
    try:
        hold_the_trial(tmp_path, Victims(lambda: servers.serving("default")), DTQ_DISPATCH_REDIS_URL=servers.url)
    finally:
        servers.stop()
    assert holding_processes(tmp_path) == {}


def hold_the_trial(folder: Path, victims: Victims, **variables: str) -> None:
    """Two failovers under load: no promise is broken, and afterwards tasks are begun as soon as before."""
    cluster = Cluster(folder / "run", RUN.shape, **variables)

    report = play(RUN, PLAN, victims.begin, victims.end, cluster, folder / "run", print)

    assert report.violations == []
    # Others wait for a free slot, too, for as long as the machine has more to do than it can.
    rows = [row for row in report.evidence.rows.values() if row.rank < rank(LEVELS["CRITICAL"] - 1, 0)]
    for name, moment in zip((fault.kind for fault in PLAN), victims.moments, strict=True):
        before = waits(rows, moment - 4, moment)
        during = waits(rows, moment, moment + 8)
        after = waits(rows, moment + 8, moment + 14)
        print(f"{name}: {told(before)} before, {told(during)} during, {told(after)} after")
        assert statistics.median(after) < NORMAL_SECONDS


def waits(rows: Sequence[Row], since: float, until: float) -> list[float]:
    """For how long those tasks waited for their claim that became ready in that time and were claimed once."""
    return sorted(
        row.claimed_at - row.queued_at
        for row in rows
        if row.attempts == 1 and row.claimed_at and row.queued_at and since <= row.queued_at < until
    )


def told(seconds: Sequence[float]) -> str:
    """A sample in words."""
    return (
        f"{len(seconds)} tasks: median {statistics.median(seconds) * 1000:.0f} ms, longest {seconds[-1] * 1000:.0f} ms"
    )
