"""A system set up on a database and a Redis of its own: its producer, its worker and its scheduler."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from redis import Redis

from dtq_site import configuration
from tests.benchmarks.counter import Counter
from tests.benchmarks.place import ROOT
from tests.benchmarks.producing import ProducerFailedError, RemoteProducer
from tests.benchmarks.systems import Arguments, System
from tests.support.processes import Process
from tests.support.servers import free_port
from tests.support.waiting import eventually

WARMING_TASKS = 200


class Installation:
    """One system, ready to be measured; `server_pids` are those of its servers by what they are."""

    def __init__(
        self,
        system: System,
        *,
        database_url: str,
        redis_url: str,
        folder: Path,
        server_pids: Mapping[str, int],
    ) -> None:
        folder.mkdir(parents=True)
        self.system = system
        self.server_pids = server_pids
        self._folder = folder
        self._redis = Redis.from_url(redis_url)
        self.counter = Counter(self._redis)
        self._environment = {
            **os.environ,
            **dict.fromkeys(configuration.variables(), ""),  # neither the shell nor a .env file has a say
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "DTQ_DATA_FOLDER": str(folder / "var"),
            "BENCHMARK_DATABASE_URL": database_url,
            "BENCHMARK_REDIS_URL": redis_url,
            **system.variables,
        }

    def prepare(self) -> None:
        """Make its tables. Raises CalledProcessError."""
        for arguments in self.system.preparation:
            subprocess.run([self.system.python, *arguments], check=True, env=self._environment, cwd=ROOT)

    @cached_property
    def _producer(self) -> RemoteProducer:
        log = self._folder / "producer.log"
        return RemoteProducer(self.system.python, self.system.application, self._environment, log)

    def ask(self, request: str, **arguments: Any) -> Any:
        """Have its producer do something; see `producer.Producer`. The first request starts it, as does one after its end."""
        try:
            return self._producer.ask(request, **arguments)
        except ProducerFailedError:
            self._end_producer()
            raise

    def clear(self) -> None:
        """Forget all tasks and counts."""
        self.ask("clear")
        self._redis.flushdb()

    @contextmanager
    def in_service(self) -> Iterator[Process | None]:
        """What has to run beside the workers is running, and the system is as in daily work; yields the scheduler."""
        with self._running(self.system.scheduler, "scheduler") as scheduler:
            self.ask("make_ready")
            yield scheduler

    @contextmanager
    def working(self) -> Iterator[Process]:
        """Its worker is running, or about to."""
        with self._running(self.system.worker, "worker") as worker:
            assert worker is not None
            yield worker

    @contextmanager
    def working_remotely(self, port: int, *options: str) -> Iterator[Process]:
        """Its worker that knows nothing but the address of the server on that port is running, or about to."""
        token = self._folder / "worker-token"
        token.write_text(self.ask("worker_token"))
        where = ("--server", f"http://localhost:{port}/graphql", "--token-file", str(token))
        store = ("--store", str(self._folder / "store"))
        with self._running(("manage.py", "runworker", *where, *store, *options), "remote worker") as worker:
            assert worker is not None
            yield worker

    @contextmanager
    def serving(self, application: str, settings: Mapping[str, str] | None = None) -> Iterator[int]:
        """One Daphne process with this ASGI application, and further settings, answers; yields its port."""
        port = free_port()
        command = ("-m", "dtq_site.server", "--bind", "127.0.0.1", "--port", str(port), application)
        with self._running(command, "server", settings):
            eventually(lambda: _answers(port), 60)
            yield port

    @contextmanager
    def warm_worker(self) -> Iterator[Process]:
        """Its worker has run some tasks, and is idle; the counter is at zero."""
        with self.working() as worker:
            earlier = self.ask("recorded") or 0
            self.ask("create_many", count=WARMING_TASKS)
            self.counter.wait_for(WARMING_TASKS)
            self.await_records(earlier + WARMING_TASKS)
            self.counter.reset()
            yield worker

    def await_records(self, outcomes: int) -> None:
        """Wait until so many outcomes are in the database, where the system keeps any."""
        eventually(lambda: self.ask("recorded") in (None, outcomes), 60)

    @contextmanager
    def _running(
        self, arguments: Arguments | None, name: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[Process | None]:
        if arguments is None:
            yield None
            return
        process = Process(
            [str(self.system.python), *arguments],
            environment={**self._environment, **(settings or {})},
            log=self._folder / f"{name}.log",
        )
        try:
            yield process
            process.signal(signal.SIGTERM)
            process.wait(30)
        except Exception as error:
            error.add_note(f"The {name} of {self.system.title} wrote:\n{process.output[-3000:]}")
            raise
        finally:
            process.clear_away()

    def redis_kib(self) -> float:
        """What its keys take in Redis."""
        return sum(self._redis.memory_usage(key) or 0 for key in self._redis.scan_iter()) / 1024

    def close(self) -> None:
        """End its producer."""
        self._end_producer()
        self._redis.close()

    def _end_producer(self) -> None:
        if producer := self.__dict__.pop("_producer", None):
            producer.end()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
