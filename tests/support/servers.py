"""MariaDB and Redis servers that belong to a test run: free ports, data in the run's folder, and gone when the run is.

A server listens on 127.0.0.1 only and wants a password made up for it. It can be killed and started again with the same
data and the same port, which is what the tests of faults do.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dtq_site.foundation.processes import dies_with_parent
from tests.support.waiting import eventually

FIRST_PORT = 10_000
"""Of those that `free_port` chooses among; below are those of well-known services, which may be running."""


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago.

    None of those that the kernel gives to connections that go out: one of these could take it before the server has begun.
    """
    while True:
        port = FIRST_PORT + secrets.randbelow(_first_port_of_connections() - FIRST_PORT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _first_port_of_connections() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def system_program(name: str) -> str | None:
    """Where the system has `name`; a program of the same name that a wheel has put beside Python does not count."""
    ours = Path(sys.prefix) / "bin"
    path = os.pathsep.join(part for part in os.get_exec_path() if Path(part) != ours)
    return shutil.which(name, path=path + os.pathsep + "/usr/sbin")


class Server(ABC):
    """A server process with its data in `folder`. Start it from the main thread: it dies with the thread that starts it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started last."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout_seconds: float = 60.0) -> None:
        """Start it, or start it again, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(),
                start_new_session=True,
            )
        eventually(self._answers_or_failed, timeout_seconds)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by kill -9."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it hang: it accepts connections and says nothing more."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers_or_failed(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._command()[0]} ended: {(self.folder / 'server.log').read_text()[-2000:]}")
        return self._answers()

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...


def ask_redis(port: int, password: str, *command: str) -> Any:
    """What the server on that port answers; None if it does not."""
    from redis import Redis
    from redis.exceptions import ConnectionError as RedisAway
    from redis.exceptions import TimeoutError as RedisSilent

    try:
        with Redis(port=port, password=password, retry=None, socket_timeout=2, decode_responses=True) as client:
            return client.execute_command(*command)
    except (RedisAway, RedisSilent):
        return None


class RedisServer(Server):
    """The system's redis-server, without persistence; `directives` are further lines of its configuration."""

    program = system_program("redis-server")

    def __init__(self, folder: Path, *directives: str, password: str = "") -> None:
        super().__init__(folder)
        self.password = password or self.password
        self._config = folder / "redis.conf"
        lines = (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nmasterauth {self.password}",
            f'save ""\nappendonly no\nmaxmemory-policy noeviction\ndir {folder}',
            *directives,
        )
        self._config.write_text("\n".join((*lines, "")))

    @property
    def url(self) -> str:
        """The value for REDIS_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def ask(self, *command: str) -> Any:
        """What it answers; None if it does not."""
        return ask_redis(self.port, self.password, *command)

    def info(self, section: str) -> dict[str, Any]:
        """That part of what it tells of itself; nothing if it does not answer."""
        return self.ask("INFO", section) or {}

    def _command(self) -> list[str]:
        assert self.program
        return [self.program, str(self._config)]

    def _answers(self) -> bool:
        return bool(self.ask("PING"))


class MariaDbServer(Server):
    """The system's MariaDB as it is installed: every commit reaches the disk; `arguments` are added to its command.

    `requires` is what its user must bring, such as ``X509``, and `tls` what MySQLdb is told for that.
    """

    program = system_program("mariadbd")
    installer = system_program("mariadb-install-db")

    def __init__(
        self, folder: Path, *arguments: str, requires: str = "NONE", tls: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(folder)
        assert self.installer
        self._arguments = arguments
        self._tls = tls or {}
        # A starting server removes what others keep in a shared folder for temporary tables.
        self._tmp_folder = folder / "tmp"
        self._tmp_folder.mkdir()
        folders = [f"--datadir={folder / 'data'}", f"--tmpdir={self._tmp_folder}"]
        install = [self.installer, "--no-defaults", *folders, "--skip-test-db", *self._as_root()]
        done = subprocess.run([*install, "--auth-root-authentication-method=socket"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed: {done.stdout}{done.stderr}")
        self._init_file = folder / "init.sql"
        self._init_file.write_text(
            "CREATE DATABASE IF NOT EXISTS dtq CHARACTER SET utf8mb4;\n"
            f"CREATE OR REPLACE USER 'dtq'@'127.0.0.1' IDENTIFIED BY '{self.password}' REQUIRE {requires};\n"
            "GRANT ALL ON *.* TO 'dtq'@'127.0.0.1';\n"
        )

    def url(self, database: str = "dtq") -> str:
        """The value for DATABASE_URL."""
        return f"mysql://dtq:{self.password}@127.0.0.1:{self.port}/{database}"

    @staticmethod
    def _as_root() -> list[str]:
        return ["--user=root"] if os.getuid() == 0 else []  # it refuses to run as root unasked

    def _command(self) -> list[str]:
        assert self.program
        return [
            self.program,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self._tmp_folder}",
            f"--socket={self.folder / 'mysql.sock'}",
            f"--pid-file={self.folder / 'mysql.pid'}",
            f"--init-file={self._init_file}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            *self._arguments,
            *self._as_root(),
        ]

    def _answers(self) -> bool:
        import MySQLdb

        try:
            MySQLdb.connect(
                host="127.0.0.1", port=self.port, user="dtq", password=self.password, connect_timeout=2, **self._tls
            ).close()
        except MySQLdb.OperationalError:
            return False
        return True
