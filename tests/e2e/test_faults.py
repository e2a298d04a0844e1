"""Redis stopped, started and flushed under real processes: creation goes on, work goes on, nothing needs a hand."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import reread, wait_for_status
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(RedisServer.program is None, reason="needs the Debian package redis-server")


def test_work_goes_on_while_redis_is_away_and_after_it_is_back(
    own_redis, start_worker, start_scheduler, enqueue, journal
):
    from dtq_site.foundation.redis_clients import redis_client

    start_scheduler(REDIS_URL=own_redis.url)
    worker = start_worker(REDIS_URL=own_redis.url)
    write = {"journal": str(journal)}
    wait_for_status(enqueue("journal", write | {"word": "before"}), "COMPLETED")

    own_redis.kill()
    meanwhile = [enqueue("journal", write | {"word": f"meanwhile {n}"}) for n in range(20)]
    for task in meanwhile:
        assert wait_for_status(task, "COMPLETED").attempts == 1

    own_redis.start()
    client = redis_client(own_redis.url, timeout_seconds=5)
    eventually(lambda: (client.get("dtq:{default}:whole") or "").startswith("whole:"), 15)
    after = enqueue("journal", write | {"word": "after"})
    assert wait_for_status(after, "COMPLETED").attempts == 1
    assert worker.running


def test_flushing_redis_loses_no_waiting_task(own_redis, start_worker, start_scheduler, enqueue, journal):
    from dtq_site.foundation.redis_clients import redis_client

    start_scheduler(REDIS_URL=own_redis.url)
    write = {"journal": str(journal)}
    waiting = [enqueue("journal", write | {"word": str(n)}, priority=n % 3) for n in range(30)]
    client = redis_client(own_redis.url, timeout_seconds=5)
    eventually(lambda: client.zcard("dtq:{default}:ready:journal") == 30)

    client.flushall()

    eventually(lambda: client.zcard("dtq:{default}:ready:journal") == 30, 15)
    start_worker("--concurrency", "1", REDIS_URL=own_redis.url)
    for task in waiting:
        wait_for_status(task, "COMPLETED")
    started = sorted(map(reread, waiting), key=lambda task: (task.started_at, task.rank, task.id))
    assert [task.priority for task in started] == [2] * 10 + [1] * 10 + [0] * 10
