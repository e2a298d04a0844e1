"""What a claim takes from each of several queues."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tasks import lifecycle, queues
from tasks.handling import registry
from tasks.models import LimitWaiter
from tasks.queue.redis_index import RedisIndex
from tests.integration.workers.claims import by_queue, caller, claim, fill, whole
from tests.support.factories import START, forget_what_processes_remember, new_task
from workers import claiming, open_queues


@pytest.mark.parametrize("from_database", [True, False])
def test_a_claim_takes_from_each_queue_in_proportion_to_its_weight(from_database):
    fill(a=40, b=40, c=40)
    queues.configure("c", {"weight": 8})

    won = claim(20, caller(queues={"a", "b", "c"}), from_database=from_database)
    assert by_queue(won) == {"a": 2, "b": 2, "c": 16}


def test_what_one_queue_lacks_of_its_share_the_others_give_in_proportion():
    fill(a=0, b=40, c=40)
    queues.configure("b", {"weight": 3})

    assert by_queue(claim(20, caller(queues={"a", "b", "c"}))) == {"b": 15, "c": 5}
    assert by_queue(claim(100)) == {"b": 25, "c": 35}


def test_single_claims_are_proportional_in_the_long_run(monkeypatch):
    fill(a=100, b=100)
    queues.configure("b", {"weight": 3})
    monkeypatch.setattr(claiming, "jitter", random.Random(11).random)
    monkeypatch.setattr(open_queues, "shuffled", list)

    won = sum((by_queue(claim(1)) for _ in range(80)), Counter())

    assert won.total() == 80
    assert 52 <= won["b"] <= 68  # of 60, within two standard deviations


def test_a_queue_is_asked_once_if_it_is_empty_and_a_single_one_once_for_all(monkeypatch):
    fill(a=0, b=0, c=9)
    asked = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: asked.append(args[1]) or take(*args, **kwargs))

    assert len(claim(3, caller(queues={"c"}))) == 3
    assert asked == ["c"]
    assert len(claim(6, caller(queues={"a", "b", "c"}))) == 6
    assert sorted(asked[1:]) == ["a", "b", "c", "c"]
    assert claim(6, caller(queues={"a", "b", "c"})) == []
    assert sorted(asked[5:]) == ["a", "b", "c"]


@pytest.mark.parametrize("from_database", [False, True])
def test_very_many_that_have_to_wait_for_a_limit_of_their_key_keep_no_claim_from_other_queues(
    from_database, monkeypatch
):
    monkeypatch.setattr(registry, "_handlers", {})
    monkeypatch.setattr(claiming, "_PARKING_SECONDS", 0)

    @registry.task("job", max_running=1, per="{account}")
    def job(account: str) -> None: ...

    whole("long", "short")
    ann = lifecycle.create([new_task(queue="long", limit_key="ann") for _ in range(20)], START)
    bob = lifecycle.create([new_task(queue="long", limit_key="bob")], START)
    assert claim(1, caller(queues=["long"]), from_database=from_database) == ann[:1]
    lifecycle.create([new_task(queue="short", limit_key="cid")], START)
    forget_what_processes_remember()

    won = claim(4, from_database=from_database)
    waiting = LimitWaiter.objects.count()
    while not (others := claim(4, from_database=from_database)):
        assert LimitWaiter.objects.count() <= waiting + 4
        waiting = LimitWaiter.objects.count()

    assert by_queue(won) == {"short": 1}
    assert others == bob
