"""What is told of changed tasks, when, and what it costs while nobody listens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from channels.layers import get_channel_layer
from django.db import transaction
from redis import Redis
from redis.client import PubSub

from tasks import events, lifecycle
from tasks.events import Change
from tasks.queue import keys
from tasks.queue.audience import BELIEVED_SECONDS
from tasks.queue.dispatch import redis_index
from tests.integration.tasks.indexing import mark_whole
from tests.support.factories import (
    START,
    claim,
    completed,
    create,
    failed,
    forget_what_processes_remember,
    lease_of,
    new_task,
    settle,
    waiting,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("committed_db")

Heard = list[tuple[Change, list[UUID]]]


@pytest.fixture(autouse=True)
def nobody_listens(redis_server: Redis) -> None:
    """A server that other tests have used goes on listening for some seconds."""
    forget_what_processes_remember()
    eventually(lambda: redis_server.pubsub_numsub(keys.EVENTS)[0][1] == 0, 20.0)


@pytest.fixture
def raw_redis(redis_server: Redis) -> Iterator[Redis]:
    """A client that leaves messages as they are."""
    from django.conf import settings

    with Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture
def listener(raw_redis: Redis) -> Iterator[PubSub]:
    with raw_redis.pubsub() as pubsub:
        pubsub.subscribe(keys.EVENTS)
        assert pubsub.get_message(timeout=5)
        yield pubsub


def heard(listener: PubSub) -> Heard:
    """What arrives within a moment."""
    said = []
    while message := listener.get_message(timeout=0.3):
        content = get_channel_layer().deserialize(message["data"])
        assert content["type"] == events.TYPE
        said.append(events.read(content))
    return said


def published(redis: Redis) -> int:
    """How often PUBLISH was called since the last reset."""
    return redis.info("commandstats").get("cmdstat_publish", {}).get("calls", 0)


# --- what is told --------------------------------------------------------------------------------------------------


def test_every_step_of_a_task_is_told_in_order(listener: PubSub):
    task = create()
    (claimed,) = claim([task])
    settle(completed(lease_of(claimed)))

    assert heard(listener) == [(Change.CREATED, [task.pk]), (Change.MOVED, [task.pk]), (Change.MOVED, [task.pk])]


def test_a_batch_is_told_in_one_message(listener: PubSub):
    tasks = lifecycle.create([new_task() for _ in range(3)], START)
    claim(tasks)

    ids = [task.pk for task in tasks]
    assert heard(listener) == [(Change.CREATED, ids), (Change.MOVED, ids)]


def test_a_task_that_waits_is_told_of_too(listener: PubSub):
    task = waiting()

    assert heard(listener) == [(Change.CREATED, [task.pk])]


def test_requests_tell_what_they_moved_or_changed(listener: PubSub):
    task = create()
    heard(listener)

    lifecycle.update(task.pk, {"title": "new"}, START)
    lifecycle.cancel(task.pk, START)
    lifecycle.retry(task.pk, START)

    ids = [task.pk]
    assert heard(listener) == [(Change.UPDATED, ids), (Change.MOVED, ids), (Change.MOVED, ids)]


def test_failures_releases_and_progress_are_told(listener: PubSub):
    first, second = create(), create()
    (released,), (running,) = claim([first]), claim([second])
    heard(listener)

    lifecycle.note_progress({lease_of(running): 5}, START)
    lifecycle.release([lease_of(released)], START)
    settle(failed(lease_of(running)))

    assert heard(listener) == [(Change.UPDATED, [second.pk]), (Change.MOVED, [first.pk]), (Change.MOVED, [second.pk])]


def test_what_is_rolled_back_is_never_told(listener: PubSub):
    with transaction.atomic():
        create()
        transaction.set_rollback(True)

    assert heard(listener) == []


def test_it_is_told_after_the_commit(listener: PubSub):
    with transaction.atomic():
        task = create()
        assert heard(listener) == []

    assert heard(listener) == [(Change.CREATED, [task.pk])]


# --- what it costs -------------------------------------------------------------------------------------------------


def test_creation_tells_nobody_when_nobody_listens(raw_redis: Redis):
    raw_redis.config_resetstat()

    for _ in range(5):
        create()

    assert published(raw_redis) == 0


def test_what_follows_closely_upon_an_answer_of_redis_costs_nothing(raw_redis: Redis):
    task = create()
    raw_redis.config_resetstat()

    redis_index().audience.note(time.monotonic(), 0)
    (claimed,) = claim([task])
    redis_index().audience.note(time.monotonic(), 0)
    settle(completed(lease_of(claimed)))

    assert published(raw_redis) == 0


def test_long_after_an_answer_of_redis_a_batch_costs_one_command(raw_redis: Redis):
    tasks = lifecycle.create([new_task() for _ in range(10)], START)
    raw_redis.config_resetstat()

    time.sleep(2 * BELIEVED_SECONDS)
    claim(tasks)

    assert published(raw_redis) == 1


def test_a_take_says_whether_anybody_listens(redis_server: Redis, listener: PubSub):
    index = redis_index()
    mark_whole(index)

    index.take("default", ["job"], 1)
    assert not index.audience.is_absent
    listener.unsubscribe()
    assert listener.get_message(timeout=5)
    index.take("default", ["job"], 1)

    assert index.audience.is_absent


def test_a_redis_that_is_away_hinders_nobody(raw_redis: Redis):
    from tasks.queue.dispatch import index_at

    index = index_at("redis://127.0.0.1:1/0")

    index.publish(b"anything")

    assert not index.audience.is_absent
