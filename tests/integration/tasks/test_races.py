"""Verbs that meet on the same rows: one wins, the others are refused, nobody fails."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle, metrics
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.support.factories import (
    START,
    after,
    claim,
    completed,
    create,
    failed,
    in_own_connection,
    lease_of,
    make_team,
    new_task,
    reap,
    settle,
)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each action answered, all begun at the same moment, each on a connection of its own."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        start.wait(10)
        return in_own_connection(action)

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def many(count: int) -> list[Task]:
    return lifecycle.create([new_task() for _ in range(count)], START)


def entries() -> Counter[str]:
    return Counter({label: int(n) for (metric, label), n in metrics.sums().items() if metric == metrics.ENTERED})


def test_reports_of_one_lease_are_accepted_once():
    (won,) = claim([create()])

    answers = at_once(*[lambda: settle(completed(lease_of(won)), now=after(1))] * 4)

    assert sorted(answer[0] for answer in answers) == ["ACCEPTED", "DUPLICATE", "DUPLICATE", "DUPLICATE"]
    assert entries()[TaskStatus.COMPLETED] == 1


def test_batches_in_opposite_orders_do_not_block_each_other():
    leases = [lease_of(task) for task in claim(many(40))]

    answers = at_once(
        lambda: settle(*map(completed, leases), now=after(1)),
        lambda: settle(*map(completed, reversed(leases)), now=after(1)),
        lambda: settle(*map(failed, leases[::3]), now=after(1)),
    )

    accepted = sum(answer.count("ACCEPTED") for answer in answers)
    assert accepted == 40
    assert sum(entries()[status] for status in (TaskStatus.COMPLETED, TaskStatus.PENDING)) == 40


def test_a_report_and_the_reaper_leave_each_task_with_one_end():
    won = claim(many(40))
    leases = [lease_of(task) for task in won]

    reaped, reports = at_once(lambda: reap(after(60)), lambda: settle(*map(failed, leases), now=after(60)))

    assert len(reaped) + reports.count("ACCEPTED") == 40
    assert {task.attempts for task in Task.objects.filter(pk__in=[task.pk for task in reaped])} <= {0}
    assert not Task.objects.filter(status=TaskStatus.PROCESSING).exists()


def test_of_a_cancellation_and_a_claim_both_may_win_but_never_the_claim_alone_after_it():
    tasks = many(30)

    def cancel_all() -> int:
        return len([lifecycle.cancel(task.pk, after(1)) for task in tasks])

    cancelled, first, second = at_once(cancel_all, lambda: claim(tasks), lambda: claim(tasks, worker=uuid.uuid4()))

    won = {task.pk for task in [*first, *second]}
    assert cancelled == 30 and len(won) == len(first) + len(second)
    held = Task.objects.filter(status=TaskStatus.CANCELLED, lease_expires_at__isnull=False)
    assert {task.pk for task in held} == won
    assert Task.objects.filter(status=TaskStatus.CANCELLED).count() == 30


def test_of_simultaneous_retries_one_wins():
    task = lifecycle.cancel(create().pk, START)

    def retry() -> str:
        try:
            return lifecycle.retry(task.pk, after(1)).status
        except Conflict:
            return "refused"

    assert sorted(at_once(*[retry] * 4)) == ["QUEUED", "refused", "refused", "refused"]


def test_two_promoters_and_two_reapers_move_each_task_once():
    for n in range(30):
        create(scheduled_at=after(1 + n / 10))
    claim(many(30))

    promoted_1, promoted_2, reaped_1, reaped_2 = at_once(
        *[lambda: lifecycle.promote(after(60))] * 2, *[lambda: reap(after(60))] * 2
    )

    assert (promoted_1 + promoted_2, len(reaped_1) + len(reaped_2)) == (30, 30)
    assert entries()[TaskStatus.QUEUED] == 30 + 30 + 30
    assert Task.objects.filter(status=TaskStatus.QUEUED).count() == 60


def test_renewals_and_reports_of_a_whole_worker_meet_without_failing():
    leases = [lease_of(task) for task in claim(many(50))]

    renewals, reports, begun = at_once(
        lambda: lifecycle.renew(leases[::-1], after(15) - START, after(1)),
        lambda: settle(*map(completed, leases[:25]), now=after(1)),
        lambda: lifecycle.mark_begun(leases, after(1)),
    )

    assert reports == ["ACCEPTED"] * 25
    assert {renewals[lease] for lease in leases[25:]} == {"RENEWED"}
    assert begun >= set(leases[25:])


def test_simultaneous_creations_in_new_queues_make_each_queue_once():
    names = [f"queue-{n}" for n in range(5)]

    def create_all() -> int:
        return len(lifecycle.create([new_task(queue=name) for name in names], START))

    make_team()
    assert at_once(*[create_all] * 4) == [5] * 4
    assert Task.objects.count() == 20
