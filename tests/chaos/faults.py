"""How each fault of the plan is done to a cluster, and how it is mended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TypeVar

import MySQLdb

from tests.chaos.cluster import Cluster, Unit
from tests.chaos.plan import Fault, FaultKind

Candidate = TypeVar("Candidate")
Act = Callable[[Cluster, Fault], None]


def begin(cluster: Cluster, fault: Fault) -> None:
    """Break what the fault breaks; nothing, if its victim is not there."""
    _BEGIN[fault.kind](cluster, fault)


def end(cluster: Cluster, fault: Fault) -> None:
    """Mend it. Suspensions end by themselves, and processes are started again when the cluster is tended."""
    if fault.kind in _END:
        _END[fault.kind](cluster, fault)


# --- processes ------------------------------------------------------------------------------------------------------


def _kill_worker_process(cluster: Cluster, fault: Fault) -> None:
    _kill(_worker_processes(cluster), fault)


def _kill_worker(cluster: Cluster, fault: Fault) -> None:
    _kill(_first_processes(cluster.workers), fault)


def _kill_scheduler(cluster: Cluster, fault: Fault) -> None:
    _kill(_first_processes(cluster.schedulers), fault)


def _kill_client(cluster: Cluster, fault: Fault) -> None:
    _kill(_first_processes(cluster.clients), fault)


def _suspend_worker_process(cluster: Cluster, fault: Fault) -> None:
    cluster.suspend(_picked([[pid] for pid in _worker_processes(cluster)], fault) or [], fault.seconds)


def _suspend_worker(cluster: Cluster, fault: Fault) -> None:
    whole = [unit.process.members() for unit in cluster.workers if unit.process.running]
    cluster.suspend(_picked(whole, fault) or [], fault.seconds)


def _worker_processes(cluster: Cluster) -> list[int]:
    return [pid for unit in cluster.workers for pid in unit.members()]


def _first_processes(units: Sequence[Unit]) -> list[int]:
    return [unit.process.pid for unit in units if unit.process.running]


def _kill(candidates: Sequence[int], fault: Fault) -> None:
    victim = _picked(candidates, fault)
    if victim is not None:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def _picked(candidates: Sequence[Candidate], fault: Fault) -> Candidate | None:
    return candidates[int(fault.pick * len(candidates))] if candidates else None


# --- servers --------------------------------------------------------------------------------------------------------


def _flush_redis(cluster: Cluster, fault: Fault) -> None:
    with closing(cluster.redis_client()) as client:
        client.flushall()


def _cut_redis(cluster: Cluster, fault: Fault) -> None:
    with closing(cluster.redis_client()) as client:
        client.client_kill_filter(_type="normal", skipme=True)


def _kill_redis(cluster: Cluster, fault: Fault) -> None:
    cluster.redis.kill()


def _start_empty_redis(cluster: Cluster, fault: Fault) -> None:
    cluster.empty_redis()
    cluster.redis.start()


def _start_older_redis(cluster: Cluster, fault: Fault) -> None:
    cluster.restore_redis()
    cluster.redis.start()


def _cut_mariadb(cluster: Cluster, fault: Fault) -> None:
    others = "SELECT id FROM information_schema.processlist WHERE user = 'dtq' AND id <> CONNECTION_ID()"
    with closing(cluster.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(others)
        for (number,) in cursor.fetchall():
            with suppress(MySQLdb.OperationalError):  # it has ended meanwhile
                cursor.execute(f"KILL CONNECTION {number}")


_BEGIN: dict[FaultKind, Act] = {
    FaultKind.KILL_WORKER_PROCESS: _kill_worker_process,
    FaultKind.KILL_WORKER: _kill_worker,
    FaultKind.KILL_SCHEDULER: _kill_scheduler,
    FaultKind.KILL_CLIENT: _kill_client,
    FaultKind.SUSPEND_WORKER_PROCESS: _suspend_worker_process,
    FaultKind.SUSPEND_WORKER: _suspend_worker,
    FaultKind.FLUSH_REDIS: _flush_redis,
    FaultKind.EMPTY_REDIS: _kill_redis,
    FaultKind.RESTORE_REDIS: _kill_redis,
    FaultKind.CUT_REDIS: _cut_redis,
    FaultKind.KILL_MARIADB: lambda cluster, fault: cluster.mariadb.kill(),
    FaultKind.STOP_MARIADB: lambda cluster, fault: cluster.mariadb.stop(),
    FaultKind.CUT_MARIADB: _cut_mariadb,
}
_END: dict[FaultKind, Act] = {
    FaultKind.EMPTY_REDIS: _start_empty_redis,
    FaultKind.RESTORE_REDIS: _start_older_redis,
    FaultKind.KILL_MARIADB: lambda cluster, fault: cluster.mariadb.start(),
    FaultKind.STOP_MARIADB: lambda cluster, fault: cluster.mariadb.start(),
}
