"""What each follower of tasks is told, and what not again: by rows, whatever messages say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import lifecycle
from tasks.events import TYPE, Change
from tasks.models import Task
from tasks.news import TaskInterest, TaskSource
from tests.support.factories import START, ManualClock, after, claim, completed, create, lease_of, settle

pytestmark = pytest.mark.usefixtures("committed_db")

Told = list[tuple[UUID, int]]


def stream(change: Change = Change.UPDATED, **fields: Any) -> TaskInterest:
    values = {"team_id": None, "queue": None, "name": None, "opened_at": START, "unselected": frozenset()}
    return TaskInterest(change, **{**values, **fields})


def follower(task: Task, change: Change = Change.UPDATED) -> TaskInterest:
    return stream(change, task_id=task.pk, version=task.version, status=task.status)


def said(source: TaskSource, change: Change, *tasks: Task) -> None:
    source.hear({"type": TYPE, "change": change, "ids": b"".join(task.pk.bytes for task in tasks)})


def look(source: TaskSource, interests: Sequence[TaskInterest], missed: float | None = None) -> list[Told]:
    """The ids and versions that each of the interests is told."""
    news = [(each.root, list(each.interests)) for each in source.look(interests, missed)]
    return [[(root.pk, root.version) for root, told in news if interest in told] for interest in interests]


def test_what_is_told_is_the_row_as_it_is_and_that_once():
    source, everything = TaskSource(), stream()
    task = create()
    (claimed,) = claim([task])
    said(source, Change.CREATED, task)
    said(source, Change.MOVED, task)

    assert look(source, [everything]) == [[(task.pk, claimed.version)]]
    said(source, Change.MOVED, task)

    assert look(source, [everything]) == [[]]


def test_a_claim_that_is_heard_of_before_the_creation_hides_neither():
    source = TaskSource()
    created, moves = stream(Change.CREATED), stream(Change.MOVED)
    task = create()
    (claimed,) = claim([task])

    said(source, Change.MOVED, task)
    assert look(source, [created, moves]) == [[], [(task.pk, claimed.version)]]
    said(source, Change.CREATED, task)

    assert look(source, [created, moves]) == [[(task.pk, claimed.version)], []]


def test_a_move_that_an_update_has_outrun_is_told_when_it_is_heard_of():
    source, moves = TaskSource(), stream(Change.MOVED)
    (claimed,) = claim([create()])
    said(source, Change.UPDATED, claimed)
    assert look(source, [moves]) == [[]]

    said(source, Change.MOVED, claimed)

    assert look(source, [moves]) == [[(claimed.pk, claimed.version)]]


def test_what_was_missed_is_found_in_the_rows_from_the_opening_on():
    clock = ManualClock(after(60))
    source, everything, created = (
        TaskSource(clock),
        stream(opened_at=after(10)),
        stream(Change.CREATED, opened_at=after(10)),
    )
    create(after(5))
    old = create(after(5))
    lifecycle.cancel(old.pk, after(20))
    new = create(after(30))

    told = look(source, [everything, created], missed=50.0)

    assert told == [[(old.pk, 2), (new.pk, 1)], [(new.pk, 1)]]
    assert look(source, [everything, created], missed=50.0) == [[], []]


def test_a_follower_is_told_what_no_message_said():
    source, task = TaskSource(), create()
    interest = follower(task)
    (claimed,) = claim([task])
    settle(completed(lease_of(claimed)))

    assert look(source, [interest]) == [[(task.pk, claimed.version + 1)]]
    assert look(source, [interest], missed=1.0) == [[]]


def test_a_follower_of_moves_is_not_told_of_progress_and_of_the_end_all_the_same():
    source = TaskSource()
    (claimed,) = claim([create()])
    interest = follower(claimed, Change.MOVED)
    look(source, [interest])

    lifecycle.note_progress({lease_of(claimed): 10}, START)
    said(source, Change.UPDATED, claimed)
    assert look(source, [interest]) == [[]]
    settle(completed(lease_of(claimed)))
    said(source, Change.UPDATED, claimed)

    assert look(source, [interest]) == [[(claimed.pk, claimed.version + 2)]]


def test_a_task_that_is_gone_ends_its_followers():
    source, task = TaskSource(), create()
    interest, everything = follower(task), stream()
    lifecycle.cancel(task.pk, START)
    look(source, [interest, everything])
    lifecycle.delete(task.pk, START)
    said(source, Change.UPDATED, task)

    (news,) = source.look([interest, everything], None)

    assert (news.subject, news.root, news.interests) == (task.pk, None, [interest])


def test_what_was_heard_is_kept_when_the_rows_cannot_be_read(monkeypatch: pytest.MonkeyPatch):
    source, everything, task = TaskSource(), stream(), create()
    said(source, Change.CREATED, task)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.versions.tasks_by_id", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            look(source, [everything])

    assert look(source, [everything]) == [[(task.pk, 1)]]


def test_a_batch_is_read_in_one_query_however_many_follow():
    source = TaskSource()
    tasks = [create() for _ in range(20)]
    interests = [stream(), stream(Change.CREATED), *(follower(task) for task in tasks)]
    look(source, interests)
    said(source, Change.CREATED, *tasks)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        look(source, interests)

    assert len([query for query in queries if "FROM" in query["sql"]]) == 1


def test_rows_that_nobody_follows_are_not_read():
    source = TaskSource()
    followed, other = create(), create()
    interest = follower(followed)
    look(source, [interest])
    said(source, Change.MOVED, other)

    with CaptureQueriesContext(connection) as queries:
        assert look(source, [interest]) == [[]]

    assert len(queries) == 0
