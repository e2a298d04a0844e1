"""Redis servers that stand in for one another. Django is not up yet when this is imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.redis_topologies import RedisClusterServers, SentinelTrio
from tests.support.servers import RedisServer


@pytest.fixture(autouse=True)
def _have_redis_server() -> None:
    if RedisServer.program is None:
        pytest.skip("this needs the Debian package redis-server")


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[SentinelTrio]:
    """A master, its replica and three Sentinels."""
    servers = SentinelTrio(tmp_path / "trio")
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisClusterServers]:
    """Three masters of a cluster."""
    servers = RedisClusterServers(tmp_path / "cluster")
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def on_cluster(committed_db: None, redis_server: Any, cluster: RedisClusterServers, settings: Any) -> Iterator[Any]:
    """This process with its dispatch index in the cluster; the index, of which no queue is whole."""
    from tasks.queue.dispatch import redis_index

    settings.DISPATCH_REDIS_URL = cluster.url
    redis_index.cache_clear()
    yield redis_index()
    redis_index.cache_clear()
