"""An index that was lost is made again from the rows, whatever happens meanwhile."""

from __future__ import annotations

from copy import copy

import pytest

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import ids
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue import keys
from tasks.queue.contents import Contents
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation
from tests.integration.tasks.reconciling import everything, sweep, whole
from tests.support.factories import after, bare_row, create, hint_of
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


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


@pytest.mark.long
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
