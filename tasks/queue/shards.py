"""Where in Redis a queue's line is: on the one server, or on that node of a cluster that has the queue's slot."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from dtq_site.foundation.redis_address import Kind, RedisAddress, read_redis_url
from dtq_site.foundation.redis_clients import Breaker, node_client, redis_client
from dtq_site.foundation.redis_cluster import ClusterMap, Node
from tasks.queue import keys
from tasks.queue.index import IndexLost

HINT_TIMEOUT_SECONDS = 0.05
PROMPT_TIMEOUT_SECONDS = 0.25
PATIENT_TIMEOUT_SECONDS = 5.0
_TIMEOUTS = (HINT_TIMEOUT_SECONDS, PROMPT_TIMEOUT_SECONDS, PATIENT_TIMEOUT_SECONDS)
_MOST_CONNECTIONS = 64


class Shard:
    """One Redis server.

    Its clients differ by their time-outs: `hints` has a short one, for callers who need no answer; `prompt` one that a
    worker can bear, as the rows can be asked instead; `patient` a long one, for sleeping on a bell and for repair.
    """

    def __init__(
        self, hints: Redis, prompt: Redis, patient: Redis, *, when_failed: Callable[[], None] | None = None
    ) -> None:
        self.hints = hints
        self.prompt = prompt
        self.patient = patient
        self._hint_breaker = Breaker(pause_seconds=0.2, longest_seconds=1.0, on_trip=when_failed)
        self._breaker = Breaker(
            longest_seconds=2.0, on_trip=when_failed
        )  # the index is to be right soon after Redis is back
        self.hint = self._hint_breaker.call
        """`hint(operation, otherwise)`: what the operation answers, or the other if the server is away. Never fails."""

    def certainly(self, operation: Callable[[], Any]) -> Any:
        """What the operation answers. Raises IndexLost when the server is away."""
        if not self._breaker.passing:
            raise IndexLost("Redis failed a moment ago")
        try:
            answer = operation()
        except RedisError as error:
            self._breaker.trip()
            raise IndexLost(str(error)) from error
        self._breaker.recover()
        return answer


class Shards(Protocol):
    """All servers that hold the index."""

    def of(self, queue: str) -> Shard:
        """The one that has this queue's line. Raises IndexLost when that is not known."""

    def all(self) -> Collection[Shard]:
        """Every one. Raises IndexLost when they are not known."""


class OneShard:
    """The whole index on one server."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def of(self, queue: str) -> Shard:
        """See Shards."""
        return self._shard

    def all(self) -> Collection[Shard]:
        """See Shards."""
        return (self._shard,)


class ClusterShards:
    """Each queue's line on one node of a cluster: all of its keys have the same hash tag."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._map = ClusterMap(address, timeout_seconds=PROMPT_TIMEOUT_SECONDS)
        self._shards: dict[Node, Shard] = {}

    def of(self, queue: str) -> Shard:
        """See Shards."""
        try:
            return self._at(self._map.master_of(keys.lanes(queue)))
        except RedisError as error:
            raise IndexLost(str(error)) from error

    def all(self) -> Collection[Shard]:
        """See Shards."""
        try:
            return [self._at(node) for node in self._map.masters()]
        except RedisError as error:
            raise IndexLost(str(error)) from error

    def _at(self, node: Node) -> Shard:
        shard = self._shards.get(node)
        if shard is None:
            clients = (
                node_client(self._address, *node, timeout_seconds=each, max_connections=_MOST_CONNECTIONS)
                for each in _TIMEOUTS
            )
            # Two threads may make it at the same time: all then use the one that came first.
            shard = self._shards.setdefault(node, Shard(*clients, when_failed=self._map.doubt))
        return shard


def server_at(url: str) -> Shard:
    """The one server to which the URL leads."""
    return Shard(*(redis_client(url, timeout_seconds=each, max_connections=_MOST_CONNECTIONS) for each in _TIMEOUTS))


def shards_at(url: str) -> Shards:
    """The servers to which the URL leads, of whatever kind it is."""
    address = read_redis_url(url)
    return ClusterShards(address) if address.kind is Kind.CLUSTER else OneShard(server_at(url))
