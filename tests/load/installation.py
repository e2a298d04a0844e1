"""The installation that is put under load: API, worker and scheduler as in production, on servers of the run's own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from dtq_site import configuration
from tests.support.processes import Processes
from tests.support.servers import MariaDbServer, RedisServer, free_port
from tests.support.waiting import eventually

API_PROCESSES = 2
DESCRIPTION = (
    f"`serve --processes {API_PROCESSES}`, one `runworker` with its default of five threads, one `runscheduler`, in production "
    "mode; MariaDB with its default durability and Redis; locust beside them on the same machine"
)
REGISTER = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }"


class Installation:
    """Where the API is, and the file with a token for it."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self.port = free_port()
        self.token_file = folder / "token"
        environment = {
            **os.environ,
            **dict.fromkeys(configuration.variables(), ""),  # neither the shell nor a .env file has a say
            "DTQ_ENV": "production",
            "DTQ_ALLOWED_HOSTS": "127.0.0.1",
            "JWT_SECRET": secrets.token_hex(32),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "DTQ_DATA_FOLDER": str(folder / "var"),
            "DTQ_HANDLERS": "tests.load.load_handlers",
            "DTQ_REGISTRATION": "open",
            "DTQ_API_RATE": "0",  # one account sends all
            "LOG_LEVEL": "warning",
        }
        (folder / "logs").mkdir(parents=True)
        self._processes = Processes(environment, folder / "logs")

    def migrate(self) -> None:
        """Make the tables."""
        migration = self._processes.manage("migrate", "--verbosity", "0")
        assert migration.wait(120) == 0, migration.output

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything is up within the block, with an account, and in the end nothing has been complained about."""
        serve = ("serve", "--port", str(self.port), "--processes", str(API_PROCESSES))
        started = [self._processes.manage(*command) for command in (serve, ("runworker",), ("runscheduler",))]
        try:
            eventually(self._is_well, 60)
            self._register()
            yield
            assert [process.terminate() for process in started] == [0, 0, 0]
            assert [process.output for process in started if "[error" in process.output] == []
        finally:
            self._processes.clear_away()

    def _is_well(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=10)
        except httpx.TransportError:
            return False
        return answer.is_success and answer.json()["status"] == "ok"

    def _register(self) -> None:
        account = {"email": "load@example.com", "password": secrets.token_urlsafe(24)}
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": REGISTER, "variables": {"input": account}},
            timeout=30,
        )
        self.token_file.write_text(answer.json()["data"]["register"]["accessToken"])


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """An installation on servers of its own, with their data in `folder`; ready to run."""
    with ExitStack() as cleanup:
        mariadb, redis = MariaDbServer(folder / "mariadb"), RedisServer(folder / "redis")
        for server in (mariadb, redis):
            server.start()
            cleanup.callback(server.stop)
        installation = Installation(mariadb.url(), redis.url, folder / "dtq")
        installation.migrate()
        yield installation
