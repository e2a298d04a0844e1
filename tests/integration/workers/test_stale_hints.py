"""Hints that are not true any more, and a database or a Redis that fails on the way: nothing that is won is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from dtq_site.foundation.clock import elapsed_clock
from tasks import lifecycle, queues
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.database_index import DatabaseIndex
from tasks.queue.dispatch import redis_index
from tasks.queue.index import Hint
from tasks.queue.redis_index import RedisIndex
from tests.integration.workers.claims import caller, claim, whole
from tests.support.factories import (
    START,
    after,
    completed,
    create,
    forget_what_processes_remember,
    hint_of,
    lease_of,
    new_task,
    reread,
    settle,
)
from tests.support.servers import RedisServer
from tests.support.waiting import eventually
from workers import claiming, gateway
from workers.open_queues import open_queues


def test_stale_hints_are_drained_without_claiming_beyond_the_limit(monkeypatch):
    index = whole()
    stale = [create(after(n), priority=20) for n in range(20)]
    ready = [create(after(n)) for n in range(10)]
    Task.objects.filter(pk__in=[task.pk for task in stale]).update(status=TaskStatus.CANCELLED)
    asked = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: asked.append(args[3]) or take(*args, **kwargs))

    assert claim(2) == ready[:2]

    assert asked == [2, 4, 8, 16]
    assert index.depth("default") == 8
    assert claim(10) == ready[2:]
    assert index.depth("default") == 0


def test_a_stale_hint_among_good_ones_is_forgotten():
    index = whole()
    gone, good = create(), create(after(1))
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    assert claim(2) == [good]
    assert index.depth("default") == 0


def test_what_a_claim_has_won_it_does_not_win_again_though_a_repair_puts_it_back_meanwhile(monkeypatch):
    index = whole("default", "mail")
    tasks = [create(after(n)) for n in range(2)]
    take, rounds = RedisIndex.take, []

    def take_after_repair(self: RedisIndex, queue: str, *args: Any, **options: Any) -> list[Hint]:
        rounds.append(queue)
        if rounds.count("default") == 2:
            index.add([hint_of(task) for task in tasks])
        return take(self, queue, *args, **options)

    monkeypatch.setattr(RedisIndex, "take", take_after_repair)

    assert claim(4, caller(queues={"default", "mail"})) == tasks

    assert rounds.count("default") > 1 and index.depth("default") == 0


def test_an_entry_in_the_wrong_lane_is_forgotten_and_blocks_nobody():
    index = whole()
    moved, good = create(), create(after(1), name="other")
    index.drop([hint_of(moved)])
    index.add([replace(hint_of(moved), name="other")])

    assert claim(1, caller("other")) == [good]
    assert index.depth("default") == 0


def test_a_queue_that_was_paused_a_moment_ago_keeps_its_entries(monkeypatch):
    index = whole()
    tasks = [create(after(n)) for n in range(7)]
    open_queues(frozenset())
    queues.pause("default")
    takes = []
    take = RedisIndex.take
    monkeypatch.setattr(RedisIndex, "take", lambda *args, **kwargs: takes.append(args[3]) or take(*args, **kwargs))

    assert claim(2) == []

    assert takes == [2]
    assert index.depth("default") == 7
    assert open_queues(frozenset()) == {}
    queues.resume("default")
    forget_what_processes_remember()
    assert claim(10) == tasks


def test_a_task_that_is_called_and_taken_while_its_first_hand_over_ends_is_not_lost(monkeypatch):
    index = whole()
    holder, refused = create(lock="a"), create(after(1), lock="a")
    assert claim(1) == [holder]
    still_ready, handed_over = claiming._still_ready, []

    def overtaken(hints: list[Hint]) -> list[Hint]:
        found = still_ready(hints)
        if not handed_over:
            settle(replace(completed(lease_of(reread(holder))), locked=True), now=after(60))
            handed_over.extend(index.take("default", {"job"}, 1))  # by a worker that fails before it claims
        return found

    monkeypatch.setattr(claiming, "_still_ready", overtaken)

    assert claim(1) == [refused]

    assert handed_over == [hint_of(refused)]


def test_what_rows_gave_is_forgotten_by_the_index():
    index = whole()
    task = create()

    assert claim(1, from_database=True) == [task]
    assert index.depth("default") == 0


def test_a_lost_index_is_survived_when_redis_is_away(settings):
    create()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = "redis://127.0.0.1:1/0", False
    redis_index.cache_clear()

    assert len(claim(5)) == 1
    gateway.wait(caller(), 0.01)


def test_while_redis_hangs_work_goes_on_from_the_rows(settings, tmp_path):
    if RedisServer.program is None:
        pytest.skip("this needs the Debian package redis-server")
    server = RedisServer(tmp_path / "redis")
    server.start()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = server.url, False
    redis_index.cache_clear()
    whole()
    tasks = [create(after(n)) for n in range(4)]
    server.freeze()
    begun = elapsed_clock()

    for task in tasks:
        assert claim(1) == [task]
    gateway.wait(caller(), 4)

    assert elapsed_clock() - begun < 1.5
    server.thaw()
    server.stop()


# --- a database that fails halfway ---------------------------------------------------------------------------------


@pytest.mark.parametrize("from_database", [True, False])
def test_what_one_queue_gave_is_kept_when_the_next_one_fails(from_database, monkeypatch):
    whole("a", "b")
    lifecycle.create([new_task(queue=queue) for queue in "ab"], START)
    forget_what_processes_remember()
    lifecycle_claim, failing = lifecycle.claim, []

    def failing_after_one(*args: Any) -> list[Task]:
        if failing:
            raise OperationalError(2013, "Lost connection")
        failing.append(True)
        return lifecycle_claim(*args)

    with monkeypatch.context() as outage:
        outage.setattr(lifecycle, "claim", failing_after_one)
        (first,) = claim(2, caller(queues={"a", "b"}), from_database=from_database)
        with pytest.raises(OperationalError):
            claim(2, caller(queues={"a", "b"}), from_database=True)

    (second,) = claim(2, from_database=True)
    assert {first.queue, second.queue} == {"a", "b"}


def test_what_is_won_is_kept_when_the_stale_hints_beside_it_cannot_be_judged(monkeypatch):
    index = whole()
    good, gone = create(), create(after(1))
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    def away(*_: Any) -> Any:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(claiming, "_still_ready", away)
        assert claim(2) == [good]
    assert index.depth("default") == 2  # handed over and not confirmed: both come back as stale hints

    Task.objects.filter(pk=good.pk).update(status=TaskStatus.COMPLETED)
    eventually(lambda: claim(2) == [] and index.depth("default") == 0, 5)


def test_a_claim_that_won_nothing_fails_when_its_stale_hints_cannot_be_judged(monkeypatch):
    index = whole()
    gone = create()
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    def away(*_: Any) -> Any:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as outage:
        outage.setattr(claiming, "_still_ready", away)
        with pytest.raises(OperationalError):
            claim(1)

    assert index.depth("default") == 1
    eventually(lambda: claim(1) == [] and index.depth("default") == 0, 5)


def test_what_the_index_is_told_of_a_claim_can_wait_until_the_task_has_started():
    index = whole()
    task = create()
    index.add([hint_of(task)])
    later: list[Callable[[], None]] = []

    assert claim(1, later=later.append) == [task]
    assert index.depth("default") == 1

    for call in later:
        call()
    assert index.depth("default") == 0


# --- rows that everybody is shown ----------------------------------------------------------------------------------


def test_who_wins_none_of_the_rows_that_it_was_shown_looks_again(monkeypatch):
    gone, left = create(), create(after(1))
    take, shown = DatabaseIndex.take, []

    def overtaken(self: DatabaseIndex, *args: Any, **options: Any) -> list[Hint]:
        hints = take(self, *args, **options)
        if not shown:
            Task.objects.filter(pk=gone.pk).update(status=TaskStatus.PROCESSING)
        shown.append(hints)
        return hints

    monkeypatch.setattr(DatabaseIndex, "take", overtaken)

    assert claim(1, from_database=True) == [left]
    assert shown == [[hint_of(gone)], [hint_of(left)]]


def test_rows_of_a_queue_that_was_paused_a_moment_ago_are_not_asked_for_again(monkeypatch):
    task = create()
    open_queues(frozenset())
    queues.pause("default")
    take, asked = DatabaseIndex.take, []
    monkeypatch.setattr(DatabaseIndex, "take", lambda *args, **kwargs: asked.append(1) or take(*args, **kwargs))

    assert claim(1, from_database=True) == []

    assert asked == [1]
    assert reread(task).status == TaskStatus.QUEUED
