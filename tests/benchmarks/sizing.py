"""The figures of docs/SCALING.md: `python -m tests.benchmarks.sizing [line] [creation] [workers] [connections] [rows]`.

`line` fills the dispatch index with more and more ready tasks, and asks it for ten at a time; `creation` says what a new task
costs the servers; `workers` drains the same tasks by more and more processes of one worker, beside one MariaDB, and says what a
task costs each part. Of costs the least of all samples is shown: what else the machine does can only add to them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import django
import psutil
from redis import Redis

from tests.benchmarks.figures import number, percentile, spread, table
from tests.benchmarks.gauges import cpu_seconds
from tests.benchmarks.http_load import graphql_request, send
from tests.benchmarks.measures import Scale
from tests.benchmarks.measures.drain import DRAIN, PARTS
from tests.benchmarks.place import servers_folder
from tests.benchmarks.runner import take_samples
from tests.benchmarks.stage import open_stage
from tests.benchmarks.systems.dtq import DTQ
from tests.support.servers import RedisServer

DEPTHS = (10_000, 100_000, 1_000_000, 3_000_000)
ADDED_AT_ONCE = 10_000
TAKES, TAKEN_AT_ONCE = 300, 10
PROCESSES = (1, 2, 4, 8)
SINGLY, SINGLES, BULK, ROUNDS = "count.enqueue()", 2_000, 20_000, 3
KEPT = 50_000


def line() -> str:
    """What ready tasks take in Redis, and how long the index needs to hand some out, by how many there are."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis")
        server.start()
        try:
            return _line(server)
        finally:
            server.stop()


def _line(server: RedisServer) -> str:
    from tasks.queue import keys  # models can be imported from now on
    from tasks.queue.dispatch import index_at
    from tasks.queue.index import Hint

    index, redis = index_at(server.url), Redis.from_url(server.url)
    redis.set(keys.whole("default"), "whole:here")
    empty, found, there = redis.info("memory")["used_memory"], [], 0
    for depth in DEPTHS:
        begun = time.perf_counter()
        for start in range(there, depth, ADDED_AT_ONCE):
            ranks = range(start, min(start + ADDED_AT_ONCE, depth))
            index.add_certainly([Hint(rank, uuid.uuid4(), "default", "count") for rank in ranks])
        filled_per_second = (depth - there) / (time.perf_counter() - begun)
        used = redis.info("memory")["used_memory"] - empty
        taken, milliseconds = [], []
        for _ in range(TAKES):
            asked = time.perf_counter()
            taken += index.take("default", ["count"], TAKEN_AT_ONCE)
            milliseconds.append((time.perf_counter() - asked) * 1000)
        index.confirm(taken)
        there = depth - len(taken)
        times = [number(percentile(milliseconds, share)) for share in (0.5, 0.95, 0.99)]
        found.append([f"{depth:,}", number(used / 2**20), number(used / depth), number(filled_per_second), *times])
    return table(["ready tasks", "MiB", "bytes each", "added/s", "take p50 ms", "p95", "p99"], found)


def creation() -> str:
    """What a new task costs the servers, one by one and in bulk."""
    found = []
    with servers_folder() as folder, open_stage(folder) as stage:
        installation = stage.installation(DTQ)
        ways = {
            "one by one": lambda: installation.ask("create", way=SINGLY, count=SINGLES),
            "a thousand a call": lambda: installation.ask("create_many", count=BULK),
        }
        with installation.in_service():
            for (title, create), made in zip(ways.items(), (SINGLES, BULK), strict=True):
                samples = []
                for _ in range(ROUNDS):
                    before = {name: cpu_seconds([pid]) for name, pid in installation.server_pids.items()}
                    seconds = create()
                    used = [cpu_seconds([pid]) - before[name] for name, pid in installation.server_pids.items()]
                    samples.append((made / seconds, *(each / made * 1e6 for each in used)))
                rates, *costs = zip(*samples, strict=True)
                found.append([title, number(max(rates)), *(number(min(each)) for each in costs)])
    return table(["creation", "tasks/s, most", "MariaDB µs", "Redis µs"], found)


def workers() -> str:
    """How fast more and more processes drain the same tasks, and what a task costs each part meanwhile."""
    systems = [
        replace(DTQ, title=str(each), worker=("manage.py", "runworker", "--processes", str(each))) for each in PROCESSES
    ]
    with servers_folder() as folder, open_stage(folder) as stage:
        samples = take_samples(DRAIN, stage, systems, Scale(), lambda said: print(said, file=sys.stderr, flush=True))
    found = []
    for processes, of_case in samples.items():
        rate = spread(sample["per_second"] for sample in of_case)
        costs = [min(sample["cpu_us"][part] for sample in of_case) for part in PARTS]
        found.append([processes, *map(number, (rate.least, rate.median, rate.most, *costs))])
    return table(["processes", "tasks/s, least", "median", "most", *(f"{part} µs" for part in PARTS)], found)


def connections() -> str:
    """How many connections each kind of process has at most while it works: to MariaDB, and with the handler's own to Redis."""
    most: Counter[tuple[str, str]] = Counter()

    def look(title: str, pids: Sequence[int]) -> None:
        for server, count in _connections(pids, installation.server_pids).items():
            most[title, server] = max(most[title, server], count)

    with servers_folder() as folder, open_stage(folder) as stage:
        installation = stage.installation(DTQ)
        request = graphql_request("{ taskStats { total } }", {}, installation.ask("token"))
        with installation.in_service() as scheduler, installation.serving("dtq_site.asgi:application") as port:
            assert scheduler is not None
            installation.ask("create_many", count=BULK)
            with installation.working() as worker:
                while (done := installation.counter.reached()) < BULK:
                    send(port, request, count=64, connections=16)
                    look("an API process", [each.pid for each in psutil.net_connections("tcp") if _listens(each, port)])
                    look("a scheduler", scheduler.members())
                    if done:
                        look("a worker with two processes", worker.members())
    titles = dict.fromkeys(title for title, _ in most)
    return table(
        ["", "MariaDB", "Redis"], [[each, str(most[each, "MariaDB"]), str(most[each, "Redis"])] for each in titles]
    )


def _connections(pids: Sequence[int], server_pids: Mapping[str, int]) -> Counter[str]:
    everything = psutil.net_connections("tcp")
    servers = {
        each.laddr.port: name
        for name, pid in server_pids.items()
        for each in everything
        if each.pid == pid and each.status == psutil.CONN_LISTEN
    }
    return Counter(
        servers[each.raddr.port]
        for each in everything
        if each.pid in pids and each.raddr and each.raddr.port in servers
    )


def _listens(connection: Any, port: int) -> bool:
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port)


def rows() -> str:
    """What a completed task takes in MariaDB, with all that is kept beside it and with the indexes."""
    with servers_folder() as folder, open_stage(folder) as stage, stage.connection() as connection:
        installation, cursor = stage.installation(DTQ), connection.cursor()
        with installation.in_service():
            before = _bytes_by_table(cursor)
            installation.ask("create_many", count=KEPT)
            with installation.working():
                installation.counter.wait_for(KEPT)
                installation.await_records(KEPT)
            after = _bytes_by_table(cursor)
    grown = {name: (size - before[name]) / KEPT for name, size in after.items()}
    largest = sorted(grown.items(), key=lambda each: -each[1])
    return table(["table", "bytes a task"], [[name, number(size)] for name, size in largest if size >= 1])


def _bytes_by_table(cursor: Any) -> dict[str, int]:
    cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'benchmark_0'")
    names = [name for (name,) in cursor.fetchall()]
    cursor.execute(f"ANALYZE TABLE {', '.join(f'benchmark_0.{name}' for name in names)}")
    cursor.fetchall()
    cursor.execute(
        "SELECT table_name, data_length + index_length FROM information_schema.tables WHERE table_schema = 'benchmark_0'"
    )
    return {name: int(size) for name, size in cursor.fetchall()}


MEASURES = {measure.__name__: measure for measure in (line, creation, workers, connections, rows)}


def main(names: Sequence[str]) -> int:
    """Print the tables that are asked for, all without a name; returns the exit code."""
    if unknown := set(names) - set(MEASURES):
        print(f"There is no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}.", file=sys.stderr)
        return 2
    for name in names or MEASURES:
        print(f"{MEASURES[name]()}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
