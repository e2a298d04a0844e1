"""What follows a move: the index after the commit and never after a rollback; the sums with the verb."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import transaction

from tasks import lifecycle, metrics
from tasks.domain.states import TaskStatus
from tasks.queue.dispatch import redis_index
from tasks.queue.rebuild import Reconciliation
from tests.support.factories import (
    after,
    claim,
    claimed,
    completed,
    create,
    discarded,
    failed,
    hint_of,
    lease_of,
    new_task,
    reap,
    reread,
    settle,
    waiting,
)


@pytest.fixture(autouse=True)
def whole_index(fresh: None) -> None:
    """An index that can be asked."""
    Reconciliation(redis_index(), "default").ensure_whole()


def in_index() -> list:
    """What a worker would be handed; it is put back."""
    hints = redis_index().take("default", {"job"}, 1000)
    redis_index().drop(hints)
    redis_index().add(hints)
    return hints


def sums() -> dict[str, float]:
    """The counters, each `metric` or `metric label`; the histograms are left out."""
    histograms = (metrics.RUN_SECONDS, metrics.WAIT_SECONDS)
    return {f"{metric} {label}".strip(): n for (metric, label), n in metrics.sums().items() if metric not in histograms}


# --- the index -----------------------------------------------------------------------------------------------------


def test_a_new_task_is_in_the_index_after_the_commit_and_not_before():
    with transaction.atomic():
        task = create()
        assert in_index() == []

    assert in_index() == [hint_of(task)]


def test_a_rolled_back_task_never_gets_there():
    with suppress(ZeroDivisionError), transaction.atomic():
        create()
        _ = 1 / 0

    assert in_index() == []
    assert sums() == {}


def test_a_task_that_waits_is_not_in_the_index_until_it_is_promoted():
    task = waiting()
    assert in_index() == []

    lifecycle.promote(after(60))

    assert in_index() == [hint_of(task)]


@pytest.mark.parametrize(
    "leave",
    [
        lambda task: lifecycle.cancel(task.pk, after(1)),
        lambda task: lifecycle.update(task.pk, {"scheduled_at": after(60)}, after(1)),
        lambda task: lifecycle.update(task.pk, {"queue": "other"}, after(1)),
    ],
    ids=["cancelled", "put off", "moved"],
)
def test_a_task_that_is_no_longer_ready_there_leaves_after_the_commit(leave):
    task = create()

    with transaction.atomic():
        leave(task)
        assert in_index() == [hint_of(task)]

    assert in_index() == []


def test_a_task_that_changes_its_place_stands_at_the_new_one_only():
    task, other = create(), create(after(1), priority=10)

    lifecycle.update(task.pk, {"priority": 20}, after(2))

    assert in_index() == [hint_of(reread(task)), hint_of(other)]
    assert redis_index().depth("default") == 2


@pytest.mark.parametrize(
    "back",
    [
        lambda task: lifecycle.release([lease_of(task)], after(1)),
        lambda task: reap(after(20)),
        lambda task: (settle(discarded(lease_of(task))), lifecycle.retry(task.pk, after(1))),
    ],
    ids=["released", "reaped", "retried"],
)
def test_a_task_that_is_ready_again_is_back(back):
    task = claimed()
    redis_index().drop([hint_of(task)])

    back(task)

    assert in_index() == [hint_of(reread(task))]


def test_a_late_completion_takes_the_task_out():
    task = claimed()
    reap(after(20))
    assert in_index() != []

    settle(completed(lease_of(task)), now=after(21))

    assert in_index() == []


# --- the sums ------------------------------------------------------------------------------------------------------


def test_creation_counts_by_level_and_state():
    create(priority=20)
    create(priority=5)
    waiting(priority=-3)

    assert sums() == {
        "created CRITICAL": 1,
        "created NORMAL": 1,
        "created LOW": 1,
        "entered QUEUED": 2,
        "entered PENDING": 1,
    }


def test_every_way_to_an_end_counts_once():
    tasks = lifecycle.create([new_task(max_retries=n % 2) for n in range(6)], after(0))
    won = claim(tasks, after(0.2))
    good, retried, bad, dead, given_back, lost = sorted(won, key=lambda task: task.pk)
    settle(completed(lease_of(good)), failed(lease_of(retried)), discarded(lease_of(bad)), failed(lease_of(dead)))
    settle(completed(lease_of(good)), failed(lease_of(retried)))
    lifecycle.release([lease_of(given_back)], after(1))
    lifecycle.cancel(given_back.pk, after(2))
    lifecycle.mark_begun([lease_of(lost)], after(1))
    reap(after(20))

    assert (retried.max_retries, dead.max_retries) == (1, 1)
    assert sums() == {
        "created NORMAL": 6,
        "entered QUEUED": 6 + 1 + 1,
        "entered PROCESSING": 6,
        "entered COMPLETED": 1,
        "entered PENDING": 2,
        "entered FAILED": 1,
        "entered CANCELLED": 1,
        "retries": 2,
        "lost_leases": 1,
    }


def test_a_change_that_is_no_move_is_no_entry():
    task = create()
    before = sums()

    lifecycle.update(task.pk, {"priority": 20, "title": "x"}, after(1))

    assert sums() == before


def test_waits_and_runs_are_observed_in_their_buckets():
    tasks = [create(), create(after(59.9))]
    won = claim(tasks, after(60))
    settle(*(completed(lease_of(task)) for task in won))

    observed = {(metric, label): n for (metric, label), n in metrics.sums().items() if metric.endswith("_seconds")}
    assert observed.pop((metrics.WAIT_SECONDS, "sum")) == pytest.approx(60.1)
    assert observed == {
        (metrics.WAIT_SECONDS, "60"): 1,
        (metrics.WAIT_SECONDS, "0.1"): 1,
        (metrics.RUN_SECONDS, "0.5"): 2,
        (metrics.RUN_SECONDS, "sum"): 1.0,
    }


def test_buckets_have_their_bounds_and_the_last_has_none():
    counts = metrics.observed("h", [0.005, 0.0051, 3600, 3601, -1])

    assert counts.pop(("h", "sum")) == pytest.approx(7201.0101)
    assert counts == {("h", "0.005"): 2, ("h", "0.01"): 1, ("h", "3600"): 1, ("h", "+Inf"): 1}


def test_inside_a_caller_s_transaction_the_sums_follow_its_commit():
    with transaction.atomic():
        create()
        assert sums() == {}

    assert sums() == {"created NORMAL": 1, "entered QUEUED": 1}


def test_a_refused_verb_counts_nothing():
    task = claimed()
    before = sums()

    claim([task], after(1))
    reap(after(1))
    lifecycle.promote(after(1))

    assert sums() == before
    assert reread(task).status == TaskStatus.PROCESSING
