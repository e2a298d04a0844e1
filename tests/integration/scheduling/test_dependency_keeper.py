"""The duty that recounts tasks which wait for others."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties import dependency_keeper
from scheduling.duties.dependency_keeper import DependencyKeeper
from tasks import lifecycle, parents, submission
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.lifecycle import dependencies
from tasks.models import Dependency, Task, UnfollowedEnd
from tasks.submission import Owner
from tests.support.factories import (
    START,
    ManualClock,
    after,
    claim,
    completed,
    create,
    discarded,
    lease_of,
    make_team,
    reread,
    settle,
)


def make_keeper() -> tuple[DependencyKeeper, Recorder]:
    heard = Recorder()
    return DependencyKeeper(Observer(heard), ManualClock(), None), heard


def children_of(*parents: Task, count: int = 1, policy: str | None = None, **asked: Any) -> list[UUID]:
    needs = [str(parent.pk) for parent in parents]
    wanted = Request(name="job", depends_on=needs, on_dependency_failure=policy, **asked)
    made = submission.submit([wanted] * count, Owner(make_team().pk, None), ManualClock())
    return [task.pk for task in made]


def stand(task_ids: list[UUID]) -> Counter[str]:
    return Counter(Task.objects.filter(pk__in=task_ids).values_list("status", flat=True))


def end(task: Task, outcome=completed) -> None:
    (won,) = claim([reread(task)])
    settle(outcome(lease_of(won)))


def rounds(keeper: DependencyKeeper) -> int:
    """Perform until the duty rests; returns how many rounds moved something."""
    moved = 0
    while keeper.perform(after(1)) == 0:
        moved += 1
    return moved


@pytest.mark.parametrize(
    ("outcome", "policy", "first", "after_all"),
    [
        (completed, None, "QUEUED", "QUEUED"),
        (discarded, None, "CANCELLED", "CANCELLED"),
        (discarded, "RUN", "QUEUED", "QUEUED"),
    ],
)
def test_an_end_moves_the_first_of_very_many_children_and_the_duty_the_others(
    monkeypatch, outcome, policy, first, after_all
):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(dependency_keeper, "PAGE", 4)
    parent = create()
    children = children_of(parent, count=25, policy=policy)
    keeper, heard = make_keeper()

    end(parent, outcome)
    at_the_end = stand(children)
    moving = rounds(keeper)

    assert at_the_end == {first: 10, "PENDING": 15}
    assert stand(children) == {after_all: 25}
    assert moving == 3 and sum(event.facts["moved"] for event in heard.events) == 15
    assert not UnfollowedEnd.objects.exists()


def test_the_children_of_an_end_wait_for_none_of_those_that_wait_for_others(monkeypatch):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(dependency_keeper, "PAGE", 4)
    running, parent = create(), create()
    others = children_of(running, count=40, queue="a")
    children = children_of(parent, running, count=10) + children_of(parent, count=25)
    keeper, _ = make_keeper()

    end(parent)
    moving = rounds(keeper)

    assert stand(children) == {"PENDING": 10, "QUEUED": 25} and stand(others) == {"PENDING": 40}
    assert Dependency.objects.filter(parent_id=parent.pk, satisfied=False).count() == 0
    assert moving == 7


def test_another_scheduler_goes_on_at_once_where_one_has_died(monkeypatch):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(dependency_keeper, "PAGE", 4)
    running, parent = create(), create()
    children_of(running, count=40, queue="a")
    children = children_of(parent, count=30)
    end(parent)

    def die(ends: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "forget_ends", die)
        with pytest.raises(SystemExit):
            rounds(make_keeper()[0])
    assert UnfollowedEnd.objects.count() == 1
    while UnfollowedEnd.objects.exists():
        make_keeper()[0].perform(after(1))

    assert stand(children) == {"QUEUED": 30}


def test_only_ends_from_which_more_may_follow_are_noted(monkeypatch):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    several = [create() for _ in range(4)]
    children = [children_of(parent, count=4) for parent in several]
    alone = create()
    children_of(alone, count=9)

    end(alone)
    assert not UnfollowedEnd.objects.exists()
    settle(*(completed(lease_of(won)) for won in claim([reread(parent) for parent in several])))

    assert list(UnfollowedEnd.objects.values_list("task_id", flat=True)) == [task.pk for task in several[2:]]
    assert [stand(each)["QUEUED"] for each in children] == [4, 4, 2, 0]
    rounds(make_keeper()[0])
    assert [stand(each)["QUEUED"] for each in children] == [4, 4, 4, 4]


def test_what_waits_for_very_many_that_are_cancelled_is_cancelled_too(monkeypatch):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(dependency_keeper, "PAGE", 4)
    failing = create()
    (child,) = Task.objects.filter(pk__in=children_of(failing))
    below = children_of(child, count=25)
    furthest = [each for task in Task.objects.filter(pk__in=below[-3:]) for each in children_of(task)]
    keeper, _ = make_keeper()

    end(failing, discarded)
    at_the_end = stand([child.pk, *below, *furthest])
    rounds(keeper)

    assert at_the_end == {"CANCELLED": 11, "PENDING": 18}
    assert stand([child.pk, *below, *furthest]) == {"CANCELLED": 29}
    assert not UnfollowedEnd.objects.exists()


def test_a_parent_that_is_retried_meanwhile_is_waited_for_anew(monkeypatch):
    monkeypatch.setattr(dependencies, "MOST_AT_ONCE", 10)
    parent = create()
    children = children_of(parent, count=25)
    keeper, heard = make_keeper()

    end(parent, discarded)
    lifecycle.retry(parent.pk, after(1))
    rounds(keeper)
    assert stand(children) == {"CANCELLED": 10, "PENDING": 15} and heard.events == []
    end(parent)
    rounds(keeper)

    assert stand(children) == {"CANCELLED": 10, "QUEUED": 15}


def test_what_waits_rightly_is_left_alone_and_stands_in_nobodys_way(monkeypatch):
    monkeypatch.setattr(dependency_keeper, "PAGE", 3)
    running, failed = create(), create()
    waiting = [*children_of(running, count=5), *children_of(failed, count=3, policy="HOLD")]
    end(failed, discarded)
    (again,) = children_of(failed)
    assert stand([again]) == {"CANCELLED": 1}
    lifecycle.retry(again, after(1))
    ready, behind = create(), create()
    overlooked = children_of(ready, behind)
    Task.objects.filter(pk__in=[ready.pk, behind.pk]).update(status=TaskStatus.COMPLETED)
    keeper, _ = make_keeper()

    moved = sum(rounds(keeper) for _ in range(5))

    assert moved == 1 and stand(overlooked) == {"QUEUED": 1}
    assert stand([*waiting, again]) == {"PENDING": 9}
    assert Dependency.objects.filter(satisfied=True).count() == 2


def test_with_nothing_that_waits_it_asks_twice(django_assert_num_queries):
    create()
    keeper, heard = make_keeper()

    with django_assert_num_queries(2):
        assert keeper.perform(START) == keeper.period_seconds

    assert heard.events == []


# --- stretches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_stretches_show_each_task_that_waits_once(limit):
    running = create()
    moments = [None, None, None, after(60), after(60), after(90)]
    for queue in ("b", "a", "B"):
        for moment in moments:
            children_of(running, queue=queue, scheduled_at=moment)
    create(scheduled_at=after(60))

    seen: list[parents.Place] = []
    while stretch := parents.waiting(seen[-1] if seen else None, limit):
        seen += stretch

    assert [(queue, moment) for queue, moment, _ in seen] == [
        (q, moment) for q in ("B", "a", "b") for moment in moments
    ]
    assert sorted(task_id for *_, task_id in seen) == sorted(Dependency.objects.values_list("child_id", flat=True))


def rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())


@pytest.mark.skipif("connection.vendor != 'mysql'", reason="only MariaDB counts what it reads")
@pytest.mark.parametrize("scheduled_at", [None, after(60)])
def test_a_late_stretch_reads_no_more_than_it_shows(scheduled_at):
    running = create()
    for _ in range(2):
        children_of(running, count=1000, scheduled_at=scheduled_at)
    *_, place = parents.waiting(None, 1900)
    reading = rows_read()

    assert len(parents.waiting(place, 10)) == 10
    assert rows_read() - reading < 50
