"""What the index in Redis does beyond the contract: hand-overs with a deadline, shares of those who take, additions."""

from __future__ import annotations

import time
import uuid

from django.conf import settings

from dtq_site.foundation.clock import milliseconds
from dtq_site.foundation.redis_clients import redis_client
from tasks.queue.index import Hint
from tasks.queue.redis_index import TAKER_MS, VISIBILITY_MS, RedisIndex
from tasks.queue.shards import Shard
from tests.integration.tasks.indexing import hint
from tests.support.factories import START

NOW_MS = milliseconds(START)


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
