"""What a test run stands on: MariaDB and a Redis server, or SQLite and the embedded Redis.

`open_backing` runs before Django's settings are read. It sets every variable that DTQ reads, so neither the shell nor a
`.env` file of the developer reaches a test.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtq_site import configuration
from tests.support.servers import MariaDbServer, RedisServer, Server

NAMES = ("sqlite", "mariadb")
_MARIADB_NEEDS = {
    "mariadb-server": (MariaDbServer.program, MariaDbServer.installer),
    "redis-server": (RedisServer.program,),
}


def missing_packages(name: str) -> list[str]:
    """The Debian packages that the backing `name` needs and this machine does not have."""
    if name != "mariadb":
        return []
    return [package for package, programs in _MARIADB_NEEDS.items() if None in programs]


@contextmanager
def open_backing(name: str) -> Iterator[dict[str, str]]:
    """Have the servers of `name` running; yields the variables that lead to them, all others of ours empty."""
    with _run_folder() as folder:
        environment = dict.fromkeys(configuration.variables(), "") | {"DTQ_DATA_FOLDER": str(folder / "var")}
        servers: list[Server] = []
        try:
            if name == "mariadb":
                servers = [mariadb := MariaDbServer(folder / "mariadb"), redis := RedisServer(folder / "redis")]
                environment |= {"DATABASE_URL": mariadb.url(), "REDIS_URL": redis.url}
            for server in servers:
                server.start()
            yield environment
        finally:
            for server in servers:
                server.stop()


@contextmanager
def _run_folder() -> Iterator[Path]:
    """A folder of this run's own. Those of runs that were killed are removed: nobody holds their lock any more."""
    prefix = f"dtq-tests-{os.getuid()}-"
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if (old / "lock").exists() and _lock(old) is not None:
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    lock = _lock(folder)
    assert lock is not None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
