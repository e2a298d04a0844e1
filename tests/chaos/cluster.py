"""A whole installation under test: MariaDB, Redis, schedulers, workers and a client.

What dies is started again a second later, as a service manager would. Processes are found by their session, not by what
they are for: a worker may be made of any number of them. Everything dies with the process that made the cluster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import MySQLdb
from redis import Redis
from redis.exceptions import RedisError

from dtq_site import configuration
from dtq_site.foundation.redis_clients import redis_client
from tests.chaos.chaos_handlers import JOURNAL_VARIABLE
from tests.chaos.evidence import Exit
from tests.support.processes import Process, Processes
from tests.support.servers import MariaDbServer, RedisServer
from tests.support.waiting import eventually

RESTART_SECONDS = 1.0
SNAPSHOT_SECONDS = 3.0


@dataclass(frozen=True)
class Shape:
    """How large the installation is, and its settings."""

    workers: int = 2
    processes: int = 2
    concurrency: int = 4
    schedulers: int = 2
    lease_seconds: float = 3.0
    backoff_seconds: float = 0.2
    max_lost_leases: int = 3

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return self.workers * self.processes * self.concurrency


class Unit:
    """A process that is to run: started again, a while after it has ended, unless it ended with 0 and may."""

    def __init__(self, name: str, start: Callable[[], Process], *, ends: bool = False) -> None:
        self._name = name
        self._start = start
        self._ends = ends
        self._down_since: float | None = None
        self.lives = [start()]

    @property
    def process(self) -> Process:
        """The latest life."""
        return self.lives[-1]

    @property
    def done(self) -> bool:
        """Whether it has ended as it should."""
        return self._ends and not self.process.running and self.process.wait() == 0

    def tend(self) -> None:
        """Start it again if it has been down long enough."""
        if self.process.running or self.done:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = time.monotonic()
        elif time.monotonic() - self._down_since > RESTART_SECONDS:
            self._down_since = None
            self.lives.append(self._start())

    def exits(self) -> list[Exit]:
        """How its lives have ended that have."""
        return [Exit(self._name, life.wait(), life.output, self._ends) for life in self.lives if not life.running]

    def members(self) -> list[int]:
        """The living processes of all its lives, the first processes of each left out."""
        return [pid for life in self.lives for pid in life.members() if pid != life.pid]


class Cluster:
    """The installation in `folder`. Make and use it on the main thread, and `close` it.

    By `variables` its processes are led to other servers than its own Redis.
    """

    def __init__(self, folder: Path, shape: Shape, **variables: str) -> None:
        self._folder = folder
        self._shape = shape
        self.journal = folder / "journal"
        self.client_journal = folder / "client"
        for each in (self.journal, self.client_journal, folder / "logs"):
            each.mkdir(parents=True)
        self.mariadb = MariaDbServer(folder / "mariadb")
        self.redis = RedisServer(folder / "redis")
        self._processes = Processes(self._environment() | variables, folder / "logs")
        self.schedulers: list[Unit] = []
        self.workers: list[Unit] = []
        self.clients: list[Unit] = []
        self._suspensions: list[subprocess.Popen[bytes]] = []
        self._snapshot_at = 0.0

    def _environment(self) -> dict[str, str]:
        """Nothing of ours comes from outside of the run."""
        return {
            **os.environ,
            **dict.fromkeys(configuration.variables(), ""),
            "DJANGO_SETTINGS_MODULE": "dtq_site.settings",
            "DATABASE_URL": self.mariadb.url(),
            "REDIS_URL": self.redis.url,
            "DTQ_DATA_FOLDER": str(self._folder / "data"),
            "DTQ_HANDLERS": "tests.chaos.chaos_handlers",
            "DTQ_LEASE": f"{self._shape.lease_seconds}s",
            "DTQ_LEADER_LEASE": "2s",
            "DTQ_GRACE_PERIOD": "30s",  # longer than any handler: none is ended, and given back, by a drain
            "DTQ_MAX_LOST_LEASES": str(self._shape.max_lost_leases),
            "RETRY_BACKOFF": str(round(self._shape.backoff_seconds * 1000)),
            JOURNAL_VARIABLE: str(self.journal),
        }

    # --- its life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything but the client; ready to work when this returns."""
        self.mariadb.start()
        self.redis.start()
        migration = self._processes.manage("migrate", "--verbosity", "0")
        assert migration.wait(120) == 0, migration.output
        shape = self._shape
        self.schedulers = [
            Unit(f"scheduler-{number}", lambda: self._processes.manage("runscheduler"))
            for number in range(shape.schedulers)
        ]
        options = ("--processes", str(shape.processes), "--concurrency", str(shape.concurrency))
        self.workers = [
            Unit(f"worker-{number}", lambda: self._processes.manage("runworker", *options))
            for number in range(shape.workers)
        ]
        for unit in self.workers:
            unit.process.wait_for("worker.ready")
        eventually(lambda: any("leader.elected" in unit.process.output for unit in self.schedulers), 30)

    def start_client(self, load: str, *arguments: str) -> None:
        """Start a client, with the arguments of `load.py`; it is started again until it has ended well.

        Each load has a journal of its own: it is there that a client finds how far its predecessor came.
        """
        folder = self.client_journal / load
        folder.mkdir()
        command = [sys.executable, "-m", "tests.chaos.load", "--journal", str(folder), "--load", load, *arguments]
        self.clients.append(Unit(f"client of the {load} load", lambda: self._processes.start(command), ends=True))

    def tend(self) -> None:
        """Start again what has ended, and have a fresh snapshot of Redis at hand."""
        for unit in self._units():
            unit.tend()
        self._suspensions = [each for each in self._suspensions if each.poll() is None]
        if time.monotonic() - self._snapshot_at > SNAPSHOT_SECONDS:
            self._snapshot_at = time.monotonic()
            self._take_snapshot()

    def heal(self) -> None:
        """Wait until nothing is suspended; the servers run, and what has died is started by `tend`."""
        for each in self._suspensions:
            each.wait()

    def close(self) -> None:
        """End everything."""
        for each in self._suspensions:
            each.kill()
            each.wait()
        self._processes.clear_away()
        self.redis.stop()
        self.mariadb.stop()

    def _units(self) -> list[Unit]:
        return [*self.schedulers, *self.workers, *self.clients]

    def exits(self) -> list[Exit]:
        """How all processes have ended that have."""
        return [each for unit in self._units() for each in unit.exits()]

    # --- what faults are made of ------------------------------------------------------------------------------------

    def suspend(self, pids: Sequence[int], seconds: float) -> None:
        """Stop processes for a while. A shell of its own lets them go on, so that no death of ours leaves them stopped."""
        if pids:
            victims = " ".join(map(str, pids))
            script = f"kill -STOP {victims}; sleep {seconds}; kill -CONT {victims}"
            self._suspensions.append(subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL))

    def empty_redis(self) -> None:
        """Have Redis find nothing at its next start."""
        self._dump.unlink(missing_ok=True)

    def restore_redis(self) -> None:
        """Have Redis find what it had some seconds ago at its next start."""
        with suppress(FileNotFoundError):
            shutil.copy(self._snapshot, self._dump)

    def connect(self) -> MySQLdb.Connection:
        """A connection to the run's MariaDB; close it."""
        server = self.mariadb
        return MySQLdb.connect(
            host="127.0.0.1", port=server.port, user="dtq", password=server.password, database="dtq", connect_timeout=2
        )

    def redis_client(self) -> Redis:
        """A client of the run's Redis; close it."""
        return redis_client(self.redis.url, timeout_seconds=5)

    @property
    def _dump(self) -> Path:
        return self.redis.folder / "dump.rdb"

    @property
    def _snapshot(self) -> Path:
        return self.redis.folder / "older.rdb"

    def _take_snapshot(self) -> None:
        with suppress(RedisError), closing(self.redis_client()) as client:
            client.save()
            self._dump.replace(self._snapshot)
