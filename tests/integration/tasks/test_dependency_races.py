"""Ends, creations and retries that meet on the same dependencies: no child waits for ever, and each moves once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from dtq_site.foundation.errors import Conflict, NotFound
from tasks import lifecycle, metrics, parents, submission
from tasks.domain.lease import Lease
from tasks.domain.states import TaskStatus
from tasks.domain.submission import Request
from tasks.models import Dependency, Task
from tasks.submission import Owner
from tests.support.factories import (
    START,
    ManualClock,
    after,
    claim,
    completed,
    discarded,
    in_own_connection,
    lease_of,
    make_team,
    new_task,
    settle,
)

ROUNDS, MANY = 50, 200

pytestmark = pytest.mark.timeout(300)


def in_step(*sides: Callable[[int], Any], rounds: int = ROUNDS) -> None:
    """Call each side once a round, all at the same moment, each on a connection of its own."""
    start = threading.Barrier(len(sides))

    def run(side: Callable[[int], Any]) -> None:
        for number in range(rounds):
            start.wait(60)
            side(number)

    with ThreadPoolExecutor(len(sides)) as pool:
        for done in [pool.submit(in_own_connection, lambda side=side: run(side)) for side in sides]:
            done.result(240)


def running(count: int = ROUNDS) -> list[Lease]:
    """Tasks that a worker runs, by what it bears."""
    return [lease_of(task) for task in claim(lifecycle.create([new_task() for _ in range(count)], START))]


def child_of(*leases: Lease, **request: Any) -> UUID:
    wanted = Request(name="job", depends_on=[str(lease.task_id) for lease in leases], **request)
    return submission.submit_one(wanted, Owner(make_team().pk, None), ManualClock()).pk


def end(leases: list[Lease], outcome: Any = completed) -> Callable[[int], None]:
    def one(number: int) -> None:
        assert settle(outcome(leases[number]), now=after(1)) == ["ACCEPTED"]

    return one


def stand(task_ids: list[UUID]) -> Counter[str]:
    return Counter(Task.objects.filter(pk__in=task_ids).values_list("status", flat=True))


def entered(status: TaskStatus) -> int:
    return int(metrics.sums()[metrics.ENTERED, status])


@pytest.mark.long
def test_two_parents_that_complete_at_once_leave_no_child_waiting():
    left, right = running(MANY), running(MANY)
    children = [child_of(*pair) for pair in zip(left, right, strict=True)]
    before = entered(TaskStatus.QUEUED)

    in_step(end(left), end(right), rounds=MANY)

    assert stand(children) == {TaskStatus.QUEUED: MANY}
    assert entered(TaskStatus.QUEUED) - before == MANY
    assert not Dependency.objects.filter(satisfied=False).exists()


def test_three_batches_of_parents_with_common_children_complete_at_once():
    batches = [running(90) for _ in range(3)]
    flat = [lease for batch in batches for lease in batch]
    children = [child_of(*flat[number :: 30 + number]) for number in range(60)]

    in_step(*[lambda number, batch=batch: settle(*map(completed, batch[number::9])) for batch in batches], rounds=9)

    assert stand(children) == {TaskStatus.QUEUED: 60}


def test_a_child_that_is_created_while_its_parent_ends_never_waits_for_it():
    leases = running()
    team, children = Owner(make_team().pk, None), []

    def create(number: int) -> None:
        wanted = Request(name="job", depends_on=[str(leases[number].task_id)])
        children.append(submission.submit_one(wanted, team, ManualClock()).pk)

    in_step(end(leases), create)

    assert stand(children) == {TaskStatus.QUEUED: ROUNDS}


def test_many_children_are_created_at_once_below_one_parent():
    (lease,) = running(1)
    team = Owner(make_team().pk, None)

    def create(number: int) -> None:
        submission.submit_one(Request(name="job", depends_on=[str(lease.task_id)]), team, ManualClock())

    in_step(create, create, create, rounds=30)
    settle(completed(lease))

    assert Counter(Task.objects.values_list("status", flat=True)) == {TaskStatus.COMPLETED: 1, TaskStatus.QUEUED: 90}


def test_a_child_that_is_retried_while_its_parent_completes_never_waits_for_it():
    leases = running()
    children = [child_of(lease) for lease in leases]
    for child in children:
        lifecycle.cancel(child, START)

    in_step(end(leases), lambda number: lifecycle.retry(children[number], after(1)))

    assert stand(children) == {TaskStatus.QUEUED: ROUNDS}


def test_of_a_failure_and_a_success_at_once_the_failure_counts():
    left, right = running(), running()
    children = [child_of(*pair) for pair in zip(left, right, strict=True)]
    below = [submission.submit_one(Request(name="job", depends_on=[str(child)]), Owner(make_team().pk, None), ManualClock()).pk
             for child in children]  # fmt: skip

    in_step(end(left), end(right, discarded))

    assert stand(children) == stand(below) == {TaskStatus.CANCELLED: ROUNDS}
    assert entered(TaskStatus.CANCELLED) == 2 * ROUNDS


def test_a_parent_is_deleted_or_depended_on_but_not_both():
    leases = running()
    for number in range(ROUNDS):
        end(leases)(number)
    team, children, deleted = Owner(make_team().pk, None), {}, set()

    def create(number: int) -> None:
        try:
            wanted = Request(name="job", depends_on=[str(leases[number].task_id)], delay_seconds=60)
            children[number] = submission.submit_one(wanted, team, ManualClock()).pk
        except NotFound:
            pass

    def delete(number: int) -> None:
        try:
            lifecycle.delete(leases[number].task_id, START)
            deleted.add(number)
        except Conflict:
            pass

    in_step(create, delete)

    assert len(children) + len(deleted) == ROUNDS and not children.keys() & deleted
    assert all(parents.edges_of([child]) for child in children.values())
