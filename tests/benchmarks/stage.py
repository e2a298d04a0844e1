"""Where a run takes place: MariaDB with default durability, Redis, and each system on a database of its own there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import MySQLdb
from redis import Redis

from tests.benchmarks.installation import Installation
from tests.benchmarks.systems import System
from tests.support.servers import MariaDbServer, RedisServer


class Stage(Protocol):
    """Hands out installations; one for each system and purpose, made when first asked for."""

    def installation(self, system: System, purpose: str = "") -> Installation: ...


class ServerStage:
    """Installations on the run's own servers, each with a database and a Redis database to itself."""

    def __init__(self, mariadb: MariaDbServer, redis: RedisServer, folder: Path) -> None:
        self._mariadb = mariadb
        self._redis = redis
        self._folder = folder
        self._installations: dict[tuple[str, str], Installation] = {}

    def installation(self, system: System, purpose: str = "") -> Installation:
        """The installation of this system for this purpose."""
        key = (system.title, purpose)
        if key not in self._installations:
            self._installations[key] = self._install(system, len(self._installations))
        return self._installations[key]

    def _install(self, system: System, number: int) -> Installation:
        name = f"benchmark_{number}"
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        installation = Installation(
            system,
            database_url=self._mariadb.url(name),
            redis_url=f"{self._redis.url.rpartition('/')[0]}/{number}",
            folder=self._folder / name,
            server_pids={"MariaDB": self._mariadb.pid, "Redis": self._redis.pid},
        )
        installation.prepare()
        return installation

    @contextmanager
    def connection(self) -> Iterator[MySQLdb.Connection]:
        """A connection to MariaDB that belongs to no system."""
        connection = MySQLdb.connect(
            host="127.0.0.1", port=self._mariadb.port, user="dtq", password=self._mariadb.password
        )
        try:
            yield connection
        finally:
            connection.close()

    def server_versions(self) -> dict[str, str]:
        """What the servers say they are."""
        with self.connection() as connection, connection.cursor() as cursor, Redis.from_url(self._redis.url) as redis:
            cursor.execute("SELECT VERSION()")
            return {"MariaDB": cursor.fetchone()[0], "Redis": redis.info("server")["redis_version"]}

    def close(self) -> None:
        """End all producers."""
        for installation in self._installations.values():
            installation.close()


@contextmanager
def open_stage(folder: Path) -> Iterator[ServerStage]:
    """Servers with their data in `folder`, running; ended with the block."""
    with ExitStack() as cleanup:
        mariadb, redis = MariaDbServer(folder / "mariadb"), RedisServer(folder / "redis")
        for server in (mariadb, redis):
            server.start()
            cleanup.callback(server.stop)
        stage = ServerStage(mariadb, redis, folder)
        cleanup.callback(stage.close)
        yield stage
