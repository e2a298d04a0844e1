"""Redis by way of Sentinels: the master dies, and everybody goes on with the replica that takes its place."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer
from redis.exceptions import ReadOnlyError, RedisError

from dtq_site.api.listener import Listener
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.redis_clients import async_redis_client, channel_host, redis_client
from tests.integration.tasks.indexing import mark_whole
from tests.support.redis_topologies import SentinelTrio
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


def test_when_the_master_is_killed_all_go_on_with_its_replica_and_the_index_is_not_whole(
    trio: SentinelTrio, settings: Any
):
    from django.core.cache import CacheHandler

    from tasks.queue.dispatch import index_at
    from tasks.queue.index import Hint, IndexLost

    cache = CacheHandler({"default": settings.CACHES["default"] | {"LOCATION": [trio.url]}})["default"]
    cache.set("word", {"a": 1})
    index, client = index_at(trio.url), redis_client(trio.url, timeout_seconds=0.25)
    mark_whole(index)
    hint = Hint(1, uuid.uuid4(), "default", "job")
    index.add([hint])
    assert client.wait(1, 2000) == 1  # the replica has it

    trio.master.kill()
    trio.sentinels[0].kill()  # that there are two is enough

    def is_whole() -> bool | None:
        try:
            return index.is_whole("default")
        except IndexLost:
            return None

    assert eventually(lambda: is_whole() is False, 15)
    assert index.take("default", {"job"}, 9) == [hint]  # still a hint, until the index is built anew
    assert client.info("server")["tcp_port"] == trio.replica.port
    assert cache.get("word") == {"a": 1} and client.exists("dtq:1:word")
    assert asyncio.run(_published(trio.url)) == b"word"


async def _published(url: str) -> bytes:
    """A word that went through the channel layer's connection, from the client of the bells."""
    from channels_redis.pubsub import RedisPubSubChannelLayer

    layer = RedisPubSubChannelLayer(prefix="dtq", hosts=[channel_host(url)])
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    async with async_redis_client(url, timeout_seconds=2) as client:
        await client.publish("dtq__group__g", layer.serialize({"type": "x", "word": b"word"}))
    message = await asyncio.wait_for(layer.receive(channel), 5)
    await layer.flush()
    return message["word"]


def test_a_demoted_master_is_left_at_once(tmp_path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    client = redis_client(server.url, timeout_seconds=1)
    connection = client.client_id()
    server.ask("REPLICAOF", "127.0.0.1", "1")

    with pytest.raises(ReadOnlyError):
        client.set("dtq:x", "1")

    assert client.client_id() != connection
    server.stop()


def test_without_a_sentinel_that_answers_the_master_is_away():
    client = redis_client("redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster/0", timeout_seconds=0.25)

    with pytest.raises(RedisError, match="No master found"):
        client.ping()


@pytest.mark.long
def test_a_listener_whose_master_hangs_for_ever_hears_the_next_one(trio: SentinelTrio, monkeypatch: pytest.MonkeyPatch):
    from channels.layers import channel_layers
    from channels_redis.pubsub import RedisPubSubChannelLayer

    layer = RedisPubSubChannelLayer(prefix="dtq", hosts=[channel_host(trio.url)])
    monkeypatch.setitem(channel_layers.backends, "default", layer)

    assert asyncio.run(_heard_after_a_freeze(trio)) == [b"before", b"after"]


async def _heard_after_a_freeze(trio: SentinelTrio) -> list[bytes]:
    """What a listener hears of words that are published before and after its master hangs."""
    heard: list[bytes] = []
    listener = Listener(
        "events",
        lambda message: heard.append(message["word"]),
        prepare=_nothing,
        settle_seconds=0.1,
        observer=Observer(),
    )
    listener.start()
    assert await listener.ready(10)
    await _publish(b"before")
    await _until(lambda: heard == [b"before"])

    trio.master.freeze()
    await _until(lambda: not listener.missed().hears)
    await _until(lambda: listener.missed().hears)

    await _publish(b"after")
    await _until(lambda: len(heard) == 2)
    await listener.stop()
    return heard


async def _nothing() -> None:
    pass


async def _publish(word: bytes) -> None:
    await get_channel_layer().group_send("events", {"type": "x", "word": word})


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.05)
