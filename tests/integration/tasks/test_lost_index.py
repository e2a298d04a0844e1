"""An index whose data are lost, or whose server is away: who is told, and what it costs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tasks.queue import keys
from tasks.queue.dispatch import index_at
from tasks.queue.index import Hint, IndexLost
from tasks.queue.redis_index import RedisIndex
from tasks.queue.shards import server_at
from tests.integration.tasks.indexing import begin_rebuild, hint, mark_whole
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

# --- the mark ------------------------------------------------------------------------------------------------------


def test_without_its_mark_the_index_is_lost(index, redis_server):
    index.add([hint()])
    redis_server.delete(keys.whole("default"))

    with pytest.raises(IndexLost, match="not whole"):
        index.take("default", {"job"}, 1)

    assert not index.is_whole("default")


def test_while_it_is_being_rebuilt_it_is_lost_too(index):
    begin_rebuild(index, "building:x")

    with pytest.raises(IndexLost):
        index.take("default", {"job"}, 1)


def test_after_a_flush_it_is_lost_and_being_lost_opens_no_breaker(index, redis_server):
    index.add([hint()])
    redis_server.flushall()

    with pytest.raises(IndexLost):
        index.take("default", {"job"}, 1)
    mark_whole(index)

    assert index.take("default", {"job"}, 1) == []


def test_a_flush_during_the_rebuild_keeps_it_from_being_called_whole(index, redis_server):
    mark = index.whole_mark("default")
    begin_rebuild(index, "building:1")
    redis_server.flushall()

    assert not index.mark_whole("default", "building:1", mark)
    assert not index.is_whole("default")
    begin_rebuild(index, "building:2")
    assert not index.mark_whole("default", "building:1", mark)
    assert index.mark_whole("default", "building:2", mark)
    assert index.is_whole("default")


def test_the_mark_of_another_redis_process_does_not_count(index, redis_server):
    redis_server.set(keys.whole("default"), "whole:another-run-id")

    assert not index.is_whole("default")


# --- a server that is away -----------------------------------------------------------------------------------------


@pytest.fixture
def silent_server():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_without_redis_hints_fail_nobody_and_take_is_lost():
    index = index_at("redis://127.0.0.1:1/0")

    for hinting in (index.add, index.confirm, index.drop):
        hinting([hint()])

    for asking in (
        lambda: index.take("default", {"job"}, 1),
        lambda: index.depth("default"),
        lambda: index.wait(["default"], ["job"], 0.1),
        lambda: index.add_certainly([hint()]),
        lambda: index.eviction_policies(),
        lambda: index.is_whole("default"),
        lambda: begin_rebuild(index, "x"),
        lambda: index.mark_whole("default", "x", "whole:x"),
    ):
        with pytest.raises(IndexLost):
            asking()


def test_a_silent_redis_costs_a_hint_its_budget_once_and_then_nothing(silent_server):
    index = index_at(silent_server)
    lengths = []
    for _ in range(5):
        begun = time.monotonic()
        index.add([hint()])
        lengths.append(time.monotonic() - begun)

    assert lengths[0] < 0.5
    assert max(lengths[1:]) < 0.05


def seconds_of(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def taken(index: RedisIndex) -> list[Hint]:
    try:
        return index.take("default", {"job"}, 9)
    except IndexLost:
        return []


def is_lost(action: Callable[[], object]) -> None:
    with pytest.raises(IndexLost):
        action()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of the test's own, which it may freeze."""
    if RedisServer.program is None:
        pytest.skip("this needs the Debian package redis-server")
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.thaw()
    server.stop()


def test_a_redis_that_hangs_costs_a_quarter_of_a_second_and_then_nothing_for_a_growing_while(own_server):
    index = index_at(own_server.url)
    mark_whole(index)
    waiting = hint()
    index.add([waiting])
    own_server.freeze()

    assert seconds_of(lambda: is_lost(lambda: index.take("default", {"job"}, 1))) < 0.5
    assert seconds_of(lambda: is_lost(lambda: index.wait(["default"], ["job"], 4))) < 0.05
    assert seconds_of(lambda: index.add([hint()])) < 0.2
    time.sleep(1.0)
    assert seconds_of(lambda: is_lost(lambda: index.wait(["default"], ["job"], 4))) < 0.5
    time.sleep(1.0)
    assert seconds_of(lambda: is_lost(lambda: index.depth("default"))) < 0.05

    own_server.thaw()  # it now hands over what nobody waits for any more, and takes it back when that is late
    eventually(lambda: waiting in taken(index), 5)


def test_a_redis_that_comes_back_is_used_again(index):
    shard = server_at(settings.REDIS_URL)
    again = RedisIndex(shard)
    with pytest.raises(IndexLost):
        shard.certainly(lambda: shard.prompt.execute_command("NO-SUCH-COMMAND"))
    with pytest.raises(IndexLost, match="a moment ago"):
        again.take("default", {"job"}, 1)

    def take() -> list[Hint] | None:
        try:
            return again.take("default", {"job"}, 1)
        except IndexLost:
            return None

    assert eventually(lambda: take() == [], 3)
