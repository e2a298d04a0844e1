"""What the index in Redis does beyond the contract: hand-overs with a deadline, bells, the mark, a server that is away."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from redis import Redis

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.redis_clients import redis_client
from tasks.queue import keys
from tasks.queue.dispatch import index_at
from tasks.queue.index import Hint, IndexLost
from tasks.queue.redis_index import TAKER_MS, VISIBILITY_MS, RedisIndex
from tasks.queue.shards import Shard, server_at
from tests.support.factories import START
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

NOW_MS = milliseconds(START)


@pytest.fixture
def index(redis_server: Redis) -> RedisIndex:
    """An empty index whose queue `default` is whole."""
    made = index_at(settings.REDIS_URL)
    mark_whole(made)
    return made


def mark_whole(index: RedisIndex) -> None:
    index.mark_building("default", "building:here")
    assert index.mark_whole("default", "building:here", index.whole_mark("default"))


def hint(rank: int = 1, name: str = "job", queue: str = "default") -> Hint:
    return Hint(rank, uuid.uuid4(), queue, name)


# --- hand-overs ----------------------------------------------------------------------------------------------------


def test_what_is_taken_is_nobody_else_s_until_the_time_is_over(index):
    first, second = hint(1), hint(2)
    index.add([first, second])

    assert index.take("default", {"job"}, 1, now_ms=NOW_MS) == [first]
    assert index.take("default", {"job"}, 9, now_ms=NOW_MS + VISIBILITY_MS - 1) == [second]

    assert index.take("default", {"job"}, 9, now_ms=NOW_MS + VISIBILITY_MS) == [first]
    assert index.depth("default") == 2


def test_a_late_hand_over_goes_back_to_its_own_place(index):
    first, second, third = hint(1, "a"), hint(2, "b"), hint(3, "a")
    index.add([third, second])
    index.add([first])
    assert index.take("default", {"a"}, 1, now_ms=NOW_MS) == [first]

    assert index.take("default", {"a", "b"}, 9, now_ms=NOW_MS + VISIBILITY_MS) == [first, second, third]


def test_it_goes_back_even_when_its_lane_was_empty_and_nobody_asks_for_it(index):
    only = hint(name="a")
    index.add([only])
    index.take("default", {"a"}, 1, now_ms=NOW_MS)

    assert index.take("default", {"b"}, 1, now_ms=NOW_MS + VISIBILITY_MS) == []
    assert index.depth("default") == 1
    assert index.take("default", {"a"}, 1, now_ms=NOW_MS + VISIBILITY_MS) == [only]


def test_what_was_confirmed_does_not_come_back(index):
    index.add([hint()])
    taken = index.take("default", {"job"}, 1, now_ms=NOW_MS)
    index.confirm(taken)

    assert index.take("default", {"job"}, 1, now_ms=NOW_MS + 10 * VISIBILITY_MS) == []
    assert index.depth("default") == 0


def test_what_is_being_handed_over_is_not_added_again(index):
    only = hint()
    index.add([only])
    index.take("default", {"job"}, 1, now_ms=NOW_MS)

    index.add([only])

    assert index.depth("default") == 1
    assert index.take("default", {"job"}, 1, now_ms=NOW_MS + 1) == []


def test_with_a_new_rank_it_is_added_for_it_is_ready_anew(index):
    only = hint(5)
    index.add([only])
    index.take("default", {"job"}, 1, now_ms=NOW_MS)
    anew = Hint(7, only.id, "default", "job")

    index.add([anew])

    assert index.take("default", {"job"}, 1, now_ms=NOW_MS + 1) == [anew]


def test_a_drop_reaches_what_is_being_handed_over(index):
    only = hint()
    index.add([only])
    index.take("default", {"job"}, 1, now_ms=NOW_MS)

    index.drop([only])

    assert index.take("default", {"job"}, 1, now_ms=NOW_MS + VISIBILITY_MS) == []


def test_redis_s_own_time_is_the_default(index):
    index.add([hint()])
    index.take("default", {"job"}, 1)

    assert index.take("default", {"job"}, 1) == []
    assert index.take("default", {"job"}, 1, now_ms=int(time.time() * 1000) + VISIBILITY_MS + 1000) != []


def test_ranks_are_exact_to_the_last_digit(index):
    hints = [hint(2**50 - 1), hint(2**50 - 2)]
    index.add(hints)

    assert index.take("default", {"job"}, 2) == hints[::-1]


def test_adding_many_at_once_adds_them_all(index):
    hints = [hint(n) for n in range(1, 1202)]

    assert index.add_certainly(hints) == 1201
    assert index.add_certainly(hints) == 0
    assert index.take("default", {"job"}, 1000) == hints[:1000]


# --- takers --------------------------------------------------------------------------------------------------------


def test_a_short_line_is_shared_among_those_that_took_of_late(index):
    ann, bob = uuid.uuid4(), uuid.uuid4()
    hints = [hint(n) for n in range(1, 8)]
    for who in (ann, bob):
        index.take("default", {"job"}, 5, taker=who, now_ms=NOW_MS)
    index.add(hints)

    assert index.take("default", {"job"}, 5, taker=ann, now_ms=NOW_MS + 1) == hints[:4]
    assert index.take("default", {"job"}, 5, taker=bob, now_ms=NOW_MS + 1) == hints[4:6]
    assert index.take("default", {"job"}, 5, taker=bob, now_ms=NOW_MS + 2) == hints[6:]


def test_a_line_that_is_long_enough_for_all_is_not_divided(index):
    hints = [hint(n) for n in range(1, 21)]
    index.add(hints)
    ann, bob = uuid.uuid4(), uuid.uuid4()

    assert index.take("default", {"job"}, 5, taker=ann, now_ms=NOW_MS) == hints[:5]
    assert index.take("default", {"job"}, 5, taker=bob, now_ms=NOW_MS) == hints[5:10]


def test_who_has_not_asked_for_a_while_and_who_has_no_name_counts_for_nobody(index):
    ann, bob = uuid.uuid4(), uuid.uuid4()
    hints = [hint(n) for n in range(1, 5)]
    index.take("default", {"job"}, 1, taker=bob, now_ms=NOW_MS)
    index.take("default", {"job"}, 1, now_ms=NOW_MS)
    index.add(hints)

    assert index.take("default", {"job"}, 4, taker=ann, now_ms=NOW_MS + TAKER_MS - 1) == hints[:2]
    index.add(hints[:2])
    assert index.take("default", {"job"}, 4, taker=ann, now_ms=NOW_MS + TAKER_MS) == hints[2:]


def test_only_the_names_that_a_taker_knows_make_its_line(index):
    ann, bob = uuid.uuid4(), uuid.uuid4()
    index.take("default", {"a"}, 1, taker=bob, now_ms=NOW_MS)
    known = [hint(n, "a") for n in range(1, 4)]
    index.add([*known, *(hint(n, "b") for n in range(1, 10))])

    assert index.take("default", {"a"}, 9, taker=ann, now_ms=NOW_MS + 1) == known[:2]


# --- the mark ------------------------------------------------------------------------------------------------------


def test_without_its_mark_the_index_is_lost(index, redis_server):
    index.add([hint()])
    redis_server.delete(keys.whole("default"))

    with pytest.raises(IndexLost, match="not whole"):
        index.take("default", {"job"}, 1)

    assert not index.is_whole("default")


def test_while_it_is_being_rebuilt_it_is_lost_too(index):
    index.mark_building("default", "building:x")

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
    index.mark_building("default", "building:1")
    redis_server.flushall()

    assert not index.mark_whole("default", "building:1", mark)
    assert not index.is_whole("default")
    index.mark_building("default", "building:2")
    assert not index.mark_whole("default", "building:1", mark)
    assert index.mark_whole("default", "building:2", mark)
    assert index.is_whole("default")


def test_the_mark_of_another_redis_process_does_not_count(index, redis_server):
    redis_server.set(keys.whole("default"), "whole:another-run-id")

    assert not index.is_whole("default")


# --- bells ---------------------------------------------------------------------------------------------------------


def test_a_wait_ends_when_a_task_of_its_lanes_is_added(index):
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(index.wait(["default", "other"], ["a", "job"], 3.0)))
    waiting.start()
    time.sleep(0.05)
    begun = time.monotonic()

    index.add([hint()])

    waiting.join(5)
    assert woken == [True]
    assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize("other", [hint(name="other"), hint(queue="other")], ids=["name", "queue"])
def test_the_bell_of_another_lane_wakes_nobody(index, other):
    index.add([other])

    assert not index.wait(["default"], ["job"], 0.05)


def test_a_bell_that_rang_before_is_heard_at_once_and_once(index):
    index.add([hint()])

    assert index.wait(["default"], ["job"], 0.05)
    assert not index.wait(["default"], ["job"], 0.05)


def test_each_new_task_wakes_one_worker_and_what_is_known_wakes_nobody(index, redis_server):
    hints = [hint(n) for n in range(1, 4)]
    index.add(hints)
    assert redis_server.llen(keys.bell("default", "job")) == 3
    redis_server.delete(keys.bell("default", "job"))

    index.add(hints)

    assert not index.wait(["default"], ["job"], 0.05)


def test_bells_do_not_pile_up_and_do_not_stay_for_ever(index, redis_server):
    index.add([hint(n) for n in range(1, 300)])

    bell = keys.bell("default", "job")
    assert redis_server.llen(bell) == 32
    assert 0 < redis_server.ttl(bell) <= keys.BELL_SECONDS


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
        lambda: index.mark_building("default", "x"),
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


# --- how long an addition may take ---------------------------------------------------------------------------------


def test_many_are_added_by_the_client_that_waits_longer_and_few_by_the_one_for_hints(redis_server, index):
    away = redis_client("redis://127.0.0.1:1/0", timeout_seconds=0.05)
    live = redis_client(settings.REDIS_URL, timeout_seconds=5)

    RedisIndex(Shard(away, live, live)).add([hint(n) for n in range(50)])
    assert index.depth("default") == 0

    RedisIndex(Shard(away, live, live)).add([hint(n) for n in range(51)])
    assert index.depth("default") == 51


def test_what_is_in_flight_is_not_added_again_beside_what_is_new(index):
    flying, waiting, new = hint(1), hint(2), hint(3)
    index.add([flying, waiting])
    assert index.take("default", {"job"}, 1, now_ms=NOW_MS) == [flying]

    assert index.add_certainly([flying, waiting, new]) == 1

    assert index.take("default", {"job"}, 9, now_ms=NOW_MS) == [waiting, new]
