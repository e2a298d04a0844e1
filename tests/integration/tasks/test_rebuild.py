"""The index is made equal to the rows again, whatever was lost."""

from __future__ import annotations

import pytest

from dtq_site.foundation.clock import elapsed_clock
from tasks import lifecycle, metrics
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue import keys, rebuild
from tasks.queue.dispatch import redis_index
from tasks.queue.index import IndexLost
from tasks.queue.rebuild import Reconciliation
from tasks.queue.redis_index import RedisIndex
from tests.support.factories import after, bare_row, claim, create, hint_of, lease_of
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
    add = RedisIndex.add_certainly

    def flushed(self, hints):
        pages.append(len(hints))
        if len(pages) == 2:
            redis_server.flushall()
        return add(self, hints)

    monkeypatch.setattr(RedisIndex, "add_certainly", flushed)

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

    assert known.sweep(1.0) == 1
    assert known.sweep(1.0) == 0

    assert hint_of(lost) in everything(index)
    assert repairs() == 1


def test_a_wrong_rank_is_put_right():
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    task, ahead = create(), create(after(1), priority=20)
    index.drop([hint_of(ahead)])
    index.add([type(hint_of(ahead))(hint_of(task).rank + 1, ahead.pk, "default", "job")])

    known.sweep(1.0)

    assert everything(index) == [hint_of(ahead), hint_of(task)]


def test_what_is_being_handed_over_is_not_taken_for_missing():
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    task = create()
    index.take("default", {"job"}, 1)

    assert known.sweep(1.0) == 0
    assert (index.depth("default"), everything(index)) == (1, [])
    claim([task])
    assert known.sweep(1.0) == 0


def test_a_sweep_reaches_every_page_even_with_no_time_for_more_than_one(small_pages):
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    for n in range(14):
        bare_row(after(n))

    added = [known.sweep(0.0) for _ in range(5)]

    assert sum(added) == 14
    assert added[0] >= 3
    assert index.depth("default") == 14


def test_the_front_is_looked_at_in_every_sweep(small_pages):
    index = redis_index()
    known = Reconciliation(index, "default")
    known.ensure_whole()
    for n in range(14):
        create(after(n))
    known.sweep(0.0)
    urgent = bare_row(after(100), priority=20)

    assert known.sweep(0.0) == 1
    assert index.take("default", {"job"}, 1) == [hint_of(urgent)]


def test_after_the_last_page_it_begins_again(small_pages):
    known = Reconciliation(redis_index(), "default")
    known.ensure_whole()
    tasks = [create(after(n)) for n in range(8)]
    known.sweep(1.0)

    redis_index().drop([hint_of(tasks[7])])

    assert known.sweep(1.0) == 1


def test_rows_that_leave_while_pages_are_read_skip_nobody(small_pages):
    known = Reconciliation(redis_index(), "default")
    known.ensure_whole()
    tasks = [bare_row(after(n)) for n in range(9)]
    known.sweep(0.0)
    for won in claim(tasks[:5], after(60)):
        assert lease_of(won)

    while known.sweep(0.0):
        pass
    known.sweep(1.0)

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
