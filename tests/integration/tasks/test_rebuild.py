"""The index is made equal to the rows again, whatever was lost."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import pytest

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import ids
from tasks import lifecycle, metrics
from tasks.domain.priority import STRICT_WEIGHT
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue import keys, rebuild
from tasks.queue.contents import Contents
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.support.factories import (
    after,
    bare_row,
    claim,
    create,
    hint_of,
    lease_of,
    reread,
)
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows."""
    monkeypatch.setattr(rebuild, "PAGE", 3)


def everything(index: RedisIndex) -> list:
    return index.take("default", {"job"}, 1000)


def repairs() -> float:
    return metrics.sums().get((metrics.REPAIRS, ""), 0)


def drift(kind: str) -> float:
    return metrics.sums().get((metrics.DRIFT, kind), 0)


def whole(queue: str = "default") -> Reconciliation:
    """The repair of an index that is whole."""
    known = Reconciliation(redis_index(), queue)
    assert known.ensure_whole()
    return known


def sweep(known: Reconciliation, budget_seconds: float = 1.0, *, seconds: float = 60, level: int | None = None):
    """One sweep, so many seconds after START; the queue is strict unless a level is worth so many ms."""
    return known.sweep(after(seconds), budget_seconds, STRICT_WEIGHT if level is None else level)


def test_a_lost_index_is_rebuilt_in_order_over_several_pages(small_pages):
    tasks = [bare_row(after(n % 4), priority=n % 3) for n in range(10)]
    bare_row(name="other")
    bare_row(queue="other")
    Task.objects.filter(pk=bare_row().pk).update(status=TaskStatus.PROCESSING)
    index = redis_index()

    assert Reconciliation(index, "default").ensure_whole()

    assert index.depth("default") == 11
    assert everything(index) == sorted(hint_of(task) for task in tasks)


def test_a_whole_index_is_left_alone(redis_server):
    known = Reconciliation(redis_index(), "default")
    assert known.ensure_whole()
    mark = redis_server.get(keys.whole("default"))

    assert not known.ensure_whole()
    assert redis_server.get(keys.whole("default")) == mark


def test_a_second_flush_during_the_rebuild_is_noticed_and_the_next_round_heals(small_pages, monkeypatch, redis_server):
    tasks = [bare_row(after(n)) for n in range(7)]
    index = redis_index()
    known = Reconciliation(index, "default")
    pages = []
    load = Contents.load

    def flushed(self, hints):
        pages.append(len(hints))
        if len(pages) == 2:
            redis_server.flushall()
        return load(self, hints)

    monkeypatch.setattr(Contents, "load", flushed)

    assert not known.ensure_whole()
    with pytest.raises(IndexLost):
        everything(index)
    assert known.ensure_whole()
    assert everything(index) == [hint_of(task) for task in tasks]


def test_a_missing_entry_is_added_and_counted():
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    create()
    lost = bare_row(after(1))

    assert sweep(known).added == 1
    assert sweep(known).added == 0

    assert hint_of(lost) in everything(index)
    assert repairs() == 1


def test_what_became_ready_this_very_second_is_no_drift_and_what_has_been_ready_for_longer_is():
    known = whole()
    bare_row(after(59.5))
    assert sweep(known).added == 1
    assert (repairs(), drift(metrics.MISSING)) == (1, 0)

    bare_row(after(59))
    assert sweep(known).added == 1
    assert (repairs(), drift(metrics.MISSING)) == (2, 1)


def test_an_entry_without_a_task_goes_at_the_second_look_a_second_later():
    known = whole()
    gone, left = create(), create(after(1))
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)

    for seconds in (60, 60.9):
        assert not sweep(known, seconds=seconds)
        assert redis_index().depth("default") == 2
    assert sweep(known, seconds=61).removed == 1

    assert everything(redis_index()) == [hint_of(left)]
    assert drift(metrics.STALE) == 1


def test_an_entry_of_a_task_that_waits_in_another_queue_now_goes_too():
    known = whole()
    task = create()
    Task.objects.filter(pk=task.pk).update(queue="other")
    sweep(known, seconds=60)

    assert sweep(known, seconds=61).removed == 1
    assert redis_index().depth("default") == 0


def test_one_that_was_not_there_at_the_look_between_is_looked_at_anew():
    known = whole()
    task = create()
    Task.objects.filter(pk=task.pk).update(status=TaskStatus.CANCELLED)
    sweep(known, seconds=60)
    Task.objects.filter(pk=task.pk).update(status=TaskStatus.QUEUED)
    sweep(known, seconds=61)
    Task.objects.filter(pk=task.pk).update(status=TaskStatus.CANCELLED)

    assert not sweep(known, seconds=62)
    assert sweep(known, seconds=63).removed == 1


def test_what_became_ready_again_since_the_look_is_not_removed(monkeypatch):
    known = whole()
    task = create()
    Task.objects.filter(pk=task.pk).update(status=TaskStatus.PROCESSING)
    sweep(known, seconds=60)
    view = Contents.view

    def released_meanwhile(self, *place):
        Task.objects.filter(pk=task.pk).update(status=TaskStatus.QUEUED)
        return view(self, *place)

    monkeypatch.setattr(Contents, "view", released_meanwhile)

    assert not sweep(known, seconds=62)
    assert everything(redis_index()) == [hint_of(task)]


def test_an_entry_that_was_added_anew_with_another_rank_is_not_removed():
    contents = Contents(redis_index(), "default")
    task = create()
    old = hint_of(task)
    anew = replace(old, rank=old.rank + 1)
    redis_index().add([anew])

    assert contents.remove([(old.rank, str(old.id), "job")]) == 0
    assert contents.remove([(anew.rank, str(anew.id), "job")]) == 1
    assert contents.remove([(anew.rank, str(anew.id), "job")]) == 0


def test_what_is_claimed_between_the_two_reads_is_not_added_again(monkeypatch):
    known = whole()
    create()
    view = Contents.view

    def claimed_meanwhile(self, *place):
        hints = redis_index().take("default", {"job"}, 1)
        claim(list(Task.objects.all()))
        redis_index().confirm(hints)
        return view(self, *place)

    monkeypatch.setattr(Contents, "view", claimed_meanwhile)

    assert not sweep(known)
    assert redis_index().depth("default") == 0


def test_a_rebuild_forgets_what_an_older_snapshot_brought_back(redis_server):
    known = whole()
    gone, left = create(), create(after(1))
    redis_index().take("default", {"job"}, 1)
    Task.objects.filter(pk=gone.pk).update(status=TaskStatus.CANCELLED)
    redis_index().add([hint_of(bare_row(name="other"))])
    Task.objects.filter(name="other").delete()
    redis_server.set(keys.whole("default"), "whole:another-run-id")

    assert known.ensure_whole()

    assert redis_index().depth("default") == 1
    assert everything(redis_index()) == [hint_of(left)]


def test_many_of_one_moment_are_passed_page_by_page(small_pages):
    known = whole()
    tasks = [bare_row() for _ in range(11)]
    create(name="other")

    assert sum(sweep(known, 0.0).added for _ in range(5)) == 11

    assert everything(redis_index()) == [hint_of(task) for task in tasks]
    for number in (4, 10):
        redis_index().drop([hint_of(tasks[number])])
    assert sum(sweep(known, 0.0).added for _ in range(5)) == 2


def test_where_more_entries_than_rows_stand_none_is_passed_over(small_pages):
    known = whole()
    gone = [create(after(n)) for n in range(10)]
    Task.objects.update(status=TaskStatus.CANCELLED)
    left = create(after(99))

    for seconds in range(60, 80):
        sweep(known, 0.0, seconds=seconds)

    assert everything(redis_index()) == [hint_of(left)]
    assert drift(metrics.STALE) == len(gone)


def test_a_sweep_that_finds_much_goes_on_beyond_its_budget(small_pages):
    known = whole()
    for n in range(14):
        bare_row(after(n))

    assert sweep(known, 0.0).added == 14
    assert not known.is_long


def test_rows_ranked_by_another_ageing_are_told_and_stand_right_after_their_reranking():
    known = whole()
    old, new = create(after(0), priority=1), create(after(30), priority=2)
    assert everything(redis_index()) == [hint_of(new), hint_of(old)]
    redis_index().add([hint_of(old), hint_of(new)])
    known.ensure_whole(trusted=False)

    found = sweep(known, level=20_000)
    assert sorted(found.misranked) == sorted([old.pk, new.pk])
    assert lifecycle.rerank("default", found.misranked, 20_000) == 2

    assert not sweep(known, level=20_000)
    assert everything(redis_index()) == [hint_of(reread(old)), hint_of(reread(new))]
    assert reread(old).rank == reread(old).ready_ms + 99 * 20_000
    assert reread(old).version == old.version


def test_20000_lost_entries_are_back_within_seconds():
    known = whole()
    pattern = bare_row()
    copies = [copy(pattern) for _ in range(19_999)]
    for task, id_ in zip(copies, ids.new(len(copies)), strict=True):
        task.pk = id_
    Task.objects.bulk_create(copies, batch_size=2000)
    begun = elapsed_clock()

    added = 0
    while added < 20_000:
        added += sweep(known, 0.1).added
        assert elapsed_clock() - begun < 15
    assert redis_index().depth("default") == 20_000

    begun = elapsed_clock()
    assert known.ensure_whole(trusted=False)
    assert elapsed_clock() - begun < 8
    assert redis_index().depth("default") == 20_000


def test_a_wrong_rank_is_put_right():
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    task, ahead = create(), create(after(1), priority=20)
    index.drop([hint_of(ahead)])
    index.add([type(hint_of(ahead))(hint_of(task).rank + 1, ahead.pk, "default", "job")])

    sweep(known)

    assert everything(index) == [hint_of(ahead), hint_of(task)]


def test_what_is_being_handed_over_is_not_taken_for_missing():
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    task = create()
    index.take("default", {"job"}, 1)

    assert sweep(known).added == 0
    assert (index.depth("default"), everything(index)) == (1, [])
    claim([task])
    assert sweep(known).added == 0


def test_a_sweep_reaches_every_page_even_with_no_time_for_more_than_one(small_pages):
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    for n in range(14):
        bare_row(after(n))

    added = [sweep(known, 0.0).added for _ in range(5)]

    assert sum(added) == 14
    assert added[0] >= 3
    assert index.depth("default") == 14


def test_the_front_is_looked_at_in_every_sweep(small_pages):
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    for n in range(14):
        create(after(n))
    sweep(known, 0.0)
    urgent = bare_row(after(100), priority=20)

    assert sweep(known, 0.0).added == 1
    assert index.take("default", {"job"}, 1) == [hint_of(urgent)]


def test_after_the_last_page_it_begins_again(small_pages):
    known = Reconciliation(redis_index(), "default")
    known.ensure_whole()
    tasks = [create(after(n)) for n in range(8)]
    sweep(known)

    redis_index().drop([hint_of(tasks[7])])

    assert sweep(known).added == 1


def test_rows_that_leave_while_pages_are_read_skip_nobody(small_pages):
    known = Reconciliation(redis_index(), "default")
    known.ensure_whole()
    tasks = [bare_row(after(n)) for n in range(9)]
    sweep(known, 0.0)
    for won in claim(tasks[:5], after(60)):
        assert lease_of(won)

    while sweep(known, 0.0).added:
        pass
    sweep(known)

    queued = {task.pk for task in tasks[5:]}
    assert queued <= {hint.id for hint in everything(redis_index())}
    assert lifecycle.next_due() is None


@pytest.mark.skipif("RedisServer.program is None", reason="this needs the Debian package redis-server")
def test_a_redis_that_is_killed_costs_nothing_and_is_filled_again_when_it_is_back(tmp_path, settings):
    server = RedisServer(tmp_path / "redis")
    server.start()
    settings.REDIS_URL, settings.REDIS_IS_EMBEDDED = server.url, False
    redis_index.cache_clear()
    known = Reconciliation(redis_index(), "default")
    try:
        known.ensure_whole()
        tasks = [create(after(n)) for n in range(2)]
        assert everything(redis_index()) == [hint_of(task) for task in tasks]

        server.kill()
        begun = elapsed_clock()
        tasks += [create(after(n)) for n in range(2, 12)]
        assert elapsed_clock() - begun < 1.0
        with pytest.raises(IndexLost):
            everything(redis_index())
        with pytest.raises(IndexLost):
            known.ensure_whole()

        server.start()
        assert eventually(lambda: is_rebuilt(known))
        assert everything(redis_index()) == [hint_of(task) for task in tasks]
    finally:
        server.stop()
        redis_index.cache_clear()


def is_rebuilt(known: Reconciliation) -> bool:
    """Whether this try has rebuilt the index; False while the breaker still rests."""
    try:
        return known.ensure_whole()
    except IndexLost:
        return False
