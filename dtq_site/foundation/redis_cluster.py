"""Which node of a Redis cluster has which key.

The map is read from the cluster when it is first needed, and again after somebody has doubted it, because a node failed or has
sent him elsewhere. Nobody is sent on: whoever asked the wrong node does without that answer.
"""

from __future__ import annotations

import threading

from redis import RedisCluster
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisClusterException, RedisError

from dtq_site.foundation.redis_address import RedisAddress
from dtq_site.foundation.redis_clients import Breaker, cluster_client

Node = tuple[str, int]
"""Host and port."""


class ClusterMap:
    """The map of one cluster, for all threads. While one of them reads it anew, the others go by the old one."""

    def __init__(self, address: RedisAddress, *, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._cluster: RedisCluster | None = None
        self._doubted = True
        self._lock = threading.Lock()
        self._breaker = Breaker(pause_seconds=0.2, longest_seconds=1.0)

    def doubt(self) -> None:
        """Have the map read anew before it is used next; not sooner than a moment after it was last tried in vain."""
        self._doubted = True

    def master_of(self, key: str) -> Node:
        """The node that answers for the key. Raises RedisError if that is not known."""
        cluster = self._read()
        try:
            node = cluster.get_node_from_key(key)
        except RedisClusterException as error:
            self.doubt()
            raise RedisAway(str(error)) from error
        return node.host, node.port

    def masters(self) -> list[Node]:
        """All nodes that answer for keys. Raises RedisError if they are not known."""
        return [(node.host, node.port) for node in self._read().get_primaries()]

    def _read(self) -> RedisCluster:
        if self._doubted and self._lock.acquire(blocking=self._cluster is None):
            try:
                if self._doubted and self._breaker.passing:
                    self._read_anew()
            finally:
                self._lock.release()
        if self._cluster is None:
            raise RedisAway("No node of the cluster answers")
        return self._cluster

    def _read_anew(self) -> None:
        self._doubted = False  # before it is read: a doubt that comes meanwhile stands
        try:
            if self._cluster is None:
                self._cluster = cluster_client(self._address, timeout_seconds=self._timeout_seconds)
            else:
                self._cluster.nodes_manager.initialize()
        except (RedisClusterException, RedisError):
            self._doubted = True
            self._breaker.trip()
        else:
            self._breaker.recover()
