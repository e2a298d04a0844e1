"""All dispatch indexes, each with an empty Redis and the rows of its own test. Django is not up yet when this is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of three nodes."""
    from tests.support.redis_topologies import RedisClusterServers
    from tests.support.servers import RedisServer

    if RedisServer.program is None:
        pytest.skip("this needs the Debian package redis-server")
    servers = RedisClusterServers(tmp_path_factory.mktemp("cluster"))
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture(params=["redis", "cluster", "database"])
def index(request: pytest.FixtureRequest, committed_db: None, redis_server: Redis) -> Any:
    """An empty index that is whole, of the queues ``default`` and ``other``."""
    from django.conf import settings

    from tasks.queue.database_index import DatabaseIndex
    from tasks.queue.dispatch import index_at, redis_index
    from tasks.queue.rebuild import Reconciliation
    from tests.support.factories import forget_what_processes_remember

    forget_what_processes_remember()
    if request.param == "database":
        return DatabaseIndex()
    made = redis_index()
    if request.param == "cluster":
        cluster = request.getfixturevalue("redis_cluster")
        cluster.empty()
        made = index_at(settings.REDIS_URL, cluster.url)
    for queue in ("default", "other"):
        Reconciliation(made, queue).ensure_whole()
    return made
