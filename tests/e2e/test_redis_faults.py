"""Redis loses its data under load, comes back with old data, and forgets nothing that a row says: real processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.e2e.conftest import reread, wait_for_status
from tests.e2e.job_handlers import read
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(RedisServer.program is None, reason="needs the Debian package redis-server")

LANE = "dtq:{default}:ready:journal"
RIGHT_WITHIN_SECONDS = 5.0


@pytest.fixture
def client(own_redis: RedisServer) -> Redis:
    """A client of the server that the test may end."""
    from dtq_site.foundation.redis_clients import redis_client

    return redis_client(own_redis.url, timeout_seconds=5)


@pytest.fixture
def start_all(own_redis: RedisServer, start_worker: Callable, start_scheduler: Callable) -> Callable[[], None]:
    """Start a scheduler and two workers that use the server that the test may end."""

    def start() -> None:
        start_scheduler(REDIS_URL=own_redis.url)
        for _ in range(2):
            start_worker(REDIS_URL=own_redis.url)

    return start


def restarted(server: RedisServer) -> None:
    server.kill()
    server.start()


def ids_in(client: Redis) -> set[str]:
    try:
        whole = (client.get("dtq:{default}:whole") or "").startswith("whole:")
        return set(client.zrange(LANE, 0, -1)) if whole else set()
    except RedisError:
        return set()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["flush", "restart without data", "restart with older data"])
def test_a_fault_of_redis_under_load_loses_nothing_and_runs_nothing_twice(
    fault, own_redis, client, start_all, enqueue, journal
):
    faults: dict[str, Callable[[], Any]] = {
        "flush": client.flushall,
        "restart without data": lambda: restarted(own_redis),
        "restart with older data": lambda: restarted(own_redis),
    }
    start_all()

    tasks = []
    for n in range(150):
        tasks.append(enqueue("journal", {"journal": str(journal), "word": str(n)}, priority=n % 7))
        if n == 20 and fault == "restart with older data":
            client.save()  # each start reads it
        if n in (40, 80, 120):
            faults[fault]()

    for task in tasks:
        assert wait_for_status(task, "COMPLETED").attempts == 1
    assert Counter(read(journal)) == Counter(str(n) for n in range(150))


def test_an_older_snapshot_is_made_right_within_seconds(
    own_redis, client, start_worker, start_scheduler, enqueue, journal
):
    def enqueue_some(*words: str) -> list[Any]:
        return [enqueue("journal", {"journal": str(journal), "word": word}) for word in words]

    start_scheduler(REDIS_URL=own_redis.url)
    done = enqueue_some(*"abcdefgh")
    eventually(lambda: ids_in(client) == {str(task.pk) for task in done})
    client.save()
    worker = start_worker(REDIS_URL=own_redis.url)
    for task in done:
        wait_for_status(task, "COMPLETED")
    assert worker.terminate() == 0
    waiting = enqueue_some(*"ijklm")

    restarted(own_redis)
    assert client.zcard(LANE) > 0  # what it has saved is there again

    eventually(lambda: ids_in(client) == {str(task.pk) for task in waiting}, RIGHT_WITHIN_SECONDS)
    start_worker(REDIS_URL=own_redis.url)
    for task in waiting:
        assert wait_for_status(task, "COMPLETED").attempts == 1
    assert Counter(read(journal)) == Counter("abcdefghijklm")


def test_what_was_created_while_redis_was_away_is_in_the_index_soon_after_its_return(
    own_redis, client, start_scheduler, enqueue, journal
):
    scheduler = start_scheduler(REDIS_URL=own_redis.url)
    write = {"journal": str(journal), "word": "x"}
    tasks = [enqueue("journal", write)]
    scheduler.wait_for("index.rebuilt.*default")

    own_redis.kill()
    tasks += [enqueue("journal", write) for _ in range(10)]
    own_redis.start()

    eventually(lambda: ids_in(client) == {str(task.pk) for task in tasks}, RIGHT_WITHIN_SECONDS)


@pytest.mark.long
def test_a_paused_queue_stays_paused_through_a_flush_and_the_restart_of_everything(
    own_redis, client, start_worker, start_scheduler, enqueue, journal
):
    from tasks import queues

    def enqueue_in(queue: str, word: str) -> Any:
        return enqueue("journal", {"journal": str(journal), "word": word}, queue=queue)

    first = [start_scheduler(REDIS_URL=own_redis.url), start_worker(REDIS_URL=own_redis.url)]
    wait_for_status(enqueue_in("mail", "before"), "COMPLETED")
    queues.pause("mail")
    held = [enqueue_in("mail", f"held {n}") for n in range(5)]
    wait_for_status(enqueue_in("default", "one"), "COMPLETED")
    client.flushall()
    wait_for_status(enqueue_in("default", "two"), "COMPLETED")
    for process in first:
        process.kill()
    restarted(own_redis)
    start_scheduler(REDIS_URL=own_redis.url)
    start_worker(REDIS_URL=own_redis.url)
    wait_for_status(enqueue_in("default", "three"), "COMPLETED")

    assert {reread(task).status for task in held} == {"QUEUED"}
    assert read(journal) == ["before", "one", "two", "three"]

    queues.resume("mail")
    for task in held:
        assert wait_for_status(task, "COMPLETED").attempts == 1
