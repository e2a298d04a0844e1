"""The duty that keeps the index equal to the rows, each round as of a moment that the test names."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduling.duties.reconciler import Reconciler
from tasks import queues
from tasks.queue import keys, rebuild
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint, IndexLost
from tasks.queue.redis_index import RedisIndex
from tasks.queue.shards import Shard
from tests.integration.scheduling.performing import make_duty
from tests.support.factories import START, after, bare_row, claim, create, hint_of, reread, row


def test_the_reconciler_rebuilds_an_index_that_was_never_there_and_repairs_what_is_missing():
    first = create()
    duty, heard = make_duty(Reconciler)

    assert duty.perform(START) == 1.0
    second = bare_row(after(1))
    duty.perform(after(1))
    duty.perform(after(2))

    rebuilt = [event.facts["queue"] for event in heard.named("index.rebuilt")]
    assert sorted(rebuilt) == sorted({"default", *rebuilt}) and "default" in rebuilt
    assert [event.facts for event in heard.named("index.repaired")] == [
        {"queue": "default", "added": 1, "removed": 0, "reranked": 0}
    ]
    assert redis_index().take("default", {"job"}, 9) == [hint_of(first), hint_of(second)]


def test_it_rebuilds_after_a_flush(redis_server):
    tasks = [create(after(n), queue=queue) for n, queue in enumerate(["default", "mail", "default"])]
    duty, heard = make_duty(Reconciler)
    duty.perform(START)

    redis_server.flushall()
    with pytest.raises(IndexLost):
        redis_index().take("mail", {"job"}, 9)
    duty.perform(after(1))

    assert redis_index().take("mail", {"job"}, 9) == [hint_of(tasks[1])]
    assert redis_index().take("default", {"job"}, 9) == [hint_of(tasks[0]), hint_of(tasks[2])]
    assert len([event for event in heard.named("index.rebuilt") if event.facts["queue"] == "mail"]) == 2


def test_it_rebuilds_when_redis_was_restarted_with_old_data(redis_server):
    duty, heard = make_duty(Reconciler)
    queues.ensure(["default"], START)
    lost = bare_row()
    redis_server.set(keys.whole("default"), f"whole:{'0' * 40}")

    duty.perform(START)

    assert redis_index().take("default", {"job"}, 9) == [hint_of(lost)]
    assert redis_server.get(keys.whole("default")) == f"whole:{redis_server.info('server')['run_id']}"
    assert "default" in {event.facts["queue"] for event in heard.named("index.rebuilt")}


def test_without_redis_it_rests(settings):
    create()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = "redis://127.0.0.1:1/0", False
    redis_index.cache_clear()
    duty, heard = make_duty(Reconciler)

    assert duty.perform(START) == 1.0
    assert heard.events == []


def test_after_redis_was_away_its_index_is_not_trusted_however_whole_it_calls_itself(monkeypatch, redis_server):
    duty, heard = make_duty(Reconciler)
    duty.perform(START)
    rebuilt = len(heard.named("index.rebuilt"))

    def away(*_: Any) -> Any:
        raise IndexLost("Redis is away")

    with monkeypatch.context() as outage:
        outage.setattr(Shard, "certainly", away)
        assert duty.perform(after(1)) == 1.0
    missed = bare_row(after(1))
    assert redis_server.get(keys.whole("default")).startswith("whole:")
    duty.perform(after(2))
    duty.perform(after(3))

    assert len(heard.named("index.rebuilt")) == 2 * rebuilt
    assert redis_index().take("default", {"job"}, 9) == [hint_of(missed)]


def test_queues_in_which_nothing_waits_cost_no_statement_of_their_own():
    queues.ensure([f"tenant-{number}" for number in range(30)], START)
    duty, _ = make_duty(Reconciler)
    duty.perform(START)

    with CaptureQueriesContext(connection) as statements:
        duty.perform(after(1))
    assert len(statements) == 2  # which queues there are, and which have rows

    missed = bare_row(after(1), queue="tenant-7")
    duty.perform(after(2))
    assert redis_index().take("tenant-7", {"job"}, 9) == [hint_of(missed)]


def test_an_idle_queue_whose_entries_have_no_rows_is_cleaned(redis_server):
    queues.ensure(["mail"], START)
    duty, _ = make_duty(Reconciler)
    duty.perform(START)
    redis_index().add([Hint(1, uuid4(), "mail", "job")])

    duty.perform(after(1))
    duty.perform(after(3))

    assert redis_server.zcard(keys.lane("mail", "job")) == 0


def test_when_the_ageing_of_a_queue_changes_its_waiting_tasks_change_places():
    old, new = create(priority=1), create(after(30), priority=2)
    elsewhere = create(queue="mail", priority=1)
    duty, heard = make_duty(Reconciler)
    duty.perform(START)
    before = row(elsewhere)

    queues.configure("default", {"ageing_seconds": 20})
    duty.perform(after(60))
    duty.perform(after(61))
    assert redis_index().take("default", {"job"}, 9) == [hint_of(reread(old)), hint_of(reread(new))]
    assert [event.facts["reranked"] for event in heard.named("index.repaired")] == [2]
    assert row(elsewhere) == before

    redis_index().add([hint_of(reread(old)), hint_of(reread(new))])
    queues.configure("default", {"ageing_seconds": None})
    duty.perform(after(62))
    duty.perform(after(63))
    assert (reread(old).rank, reread(new).rank) == (old.rank, new.rank)
    redis_index().drop([hint_of(old), hint_of(new)])


def test_it_goes_on_at_once_while_there_is_more_to_repair_than_one_sweep_can(monkeypatch):
    monkeypatch.setattr(rebuild, "PAGE", 2)
    monkeypatch.setattr(rebuild, "REPAIR_SECONDS", 0.0)
    duty, _ = make_duty(Reconciler)
    duty.perform(START)
    for n in range(7):
        bare_row(after(n))

    assert [duty.perform(after(60 + n)) for n in range(4)] == [0.0, 0.0, 1.0, 1.0]
    assert redis_index().depth("default") == 7


@pytest.mark.parametrize(("policy", "told"), [("noeviction", 0), ("allkeys-lru", 1)])
def test_a_redis_that_may_forget_keys_is_warned_of_once(monkeypatch, policy, told):
    monkeypatch.setattr(RedisIndex, "eviction_policies", lambda _: {policy})
    duty, heard = make_duty(Reconciler)

    duty.perform(START)
    duty.perform(after(1))

    remedy = "set maxmemory-policy to noeviction"
    assert [event.facts for event in heard.named("redis.may_evict")] == [{"policy": policy, "remedy": remedy}] * told


def test_the_policy_is_what_redis_says(redis_server):
    assert redis_index().eviction_policies() == {redis_server.info("memory")["maxmemory_policy"]} == {"noeviction"}


def test_what_workers_hold_is_not_added(redis_server):
    task = create()
    duty, heard = make_duty(Reconciler)
    duty.perform(START)
    redis_index().take("default", {"job"}, 1)
    claim([task])
    redis_index().confirm([hint_of(task)])

    duty.perform(after(1))

    assert heard.named("index.repaired") == []
    assert redis_index().depth("default") == 0
