"""What is wrong in an index that is whole is found and put right, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace

from tasks import lifecycle, metrics
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tasks.queue.contents import Contents
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.integration.tasks.reconciling import drift, everything, repairs, sweep, whole
from tests.support.factories import after, bare_row, claim, create, hint_of, reread


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
