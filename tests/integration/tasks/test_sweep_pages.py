"""An index is held against the rows page by page, and nobody is passed over."""

from __future__ import annotations

from tasks import lifecycle, metrics
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.integration.tasks.reconciling import drift, everything, sweep, whole
from tests.support.factories import after, bare_row, claim, create, hint_of, lease_of


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
