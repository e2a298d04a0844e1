"""What goes wrong and when: a timeline of faults made of a seed, and of nothing else."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """Everything that the plan can do to a running installation."""

    KILL_WORKER_PROCESS = "kill -9 one process of a worker"
    KILL_WORKER = "kill -9 a worker's first process"
    KILL_SCHEDULER = "kill -9 a scheduler"
    KILL_CLIENT = "kill -9 the client"
    SUSPEND_WORKER_PROCESS = "suspend one process of a worker"
    SUSPEND_WORKER = "suspend a whole worker"
    FLUSH_REDIS = "FLUSHALL"
    EMPTY_REDIS = "kill -9 Redis, start it without data"
    RESTORE_REDIS = "kill -9 Redis, start it with an older snapshot"
    CUT_REDIS = "cut all connections to Redis"
    KILL_MARIADB = "kill -9 MariaDB"
    STOP_MARIADB = "stop MariaDB"
    CUT_MARIADB = "cut all connections to MariaDB"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong `at` seconds into the run and lasts for `seconds`.

    `pick`, from 0 to 1, chooses the victim among those that there are when it happens.
    """

    at: float
    kind: FaultKind
    seconds: float
    pick: float

    @property
    def ends_at(self) -> float:
        """When what was broken is whole again."""
        return self.at + self.seconds


_WEIGHTS = {
    FaultKind.KILL_WORKER_PROCESS: 6,
    FaultKind.KILL_WORKER: 2,
    FaultKind.KILL_SCHEDULER: 2,
    FaultKind.KILL_CLIENT: 2,
    FaultKind.SUSPEND_WORKER_PROCESS: 3,
    FaultKind.SUSPEND_WORKER: 2,
    FaultKind.FLUSH_REDIS: 2,
    FaultKind.EMPTY_REDIS: 1,
    FaultKind.RESTORE_REDIS: 2,
    FaultKind.CUT_REDIS: 2,
    FaultKind.KILL_MARIADB: 1,
    FaultKind.STOP_MARIADB: 1,
    FaultKind.CUT_MARIADB: 2,
}
_SERVERS = {
    **dict.fromkeys((FaultKind.KILL_MARIADB, FaultKind.STOP_MARIADB, FaultKind.CUT_MARIADB), "mariadb"),
    **dict.fromkeys(
        (FaultKind.FLUSH_REDIS, FaultKind.EMPTY_REDIS, FaultKind.RESTORE_REDIS, FaultKind.CUT_REDIS), "redis"
    ),
}
_SUSPENSIONS = {FaultKind.SUSPEND_WORKER_PROCESS, FaultKind.SUSPEND_WORKER}
_OUTAGES = {FaultKind.EMPTY_REDIS, FaultKind.RESTORE_REDIS, FaultKind.KILL_MARIADB, FaultKind.STOP_MARIADB}
SPACING_SECONDS = 1.5
LONGEST_OUTAGE_SECONDS = 30.0


def make_plan(seed: int, seconds: float, lease_seconds: float) -> tuple[Fault, ...]:
    """The faults of a run of about so many seconds, in order of time: each kind at least once, then by weight.

    Faults of one server do not overlap. A suspension lasts longer than a lease.
    """
    chance = random.Random(seed)
    kinds = list(_kinds(chance, max(len(FaultKind), round(seconds / SPACING_SECONDS))))
    spacing = seconds / len(kinds)
    free_at: defaultdict[str, float] = defaultdict(float)
    faults = []
    for index, kind in enumerate(kinds):
        server = _SERVERS.get(kind, "")
        length = _length(chance, kind, seconds, lease_seconds)
        at = max((index + chance.random()) * spacing, free_at[server] if server else 0.0)
        free_at[server] = at + length + spacing
        faults.append(Fault(round(at, 3), kind, round(length, 3), chance.random()))
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _kinds(chance: random.Random, count: int) -> Iterator[FaultKind]:
    yield from chance.sample(list(FaultKind), len(FaultKind))
    yield from chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count - len(FaultKind))


def _length(chance: random.Random, kind: FaultKind, seconds: float, lease_seconds: float) -> float:
    if kind in _SUSPENSIONS:
        return lease_seconds + chance.uniform(1.0, 3.0)
    if kind in _OUTAGES:
        return chance.uniform(0.5, min(max(seconds / 8, 1.0), LONGEST_OUTAGE_SECONDS))
    return 0.0
