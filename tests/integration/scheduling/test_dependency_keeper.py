"""The duty that recounts tasks which wait for others."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties import dependency_keeper
from scheduling.duties.dependency_keeper import DependencyKeeper
from tasks import lifecycle, submission
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.lifecycle import dependencies
from tasks.models import Dependency, Task
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


def children_of(*parents: Task, count: int = 1, policy: str | None = None) -> list[UUID]:
    wanted = Request(name="job", depends_on=[str(parent.pk) for parent in parents], on_dependency_failure=policy)
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
    assert moving == 4 and sum(event.facts["moved"] for event in heard.events) == 15


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


def test_with_nothing_that_waits_it_asks_once(django_assert_num_queries):
    create()
    keeper, heard = make_keeper()

    with django_assert_num_queries(1):
        assert keeper.perform(START) == keeper.period_seconds

    assert heard.events == []
