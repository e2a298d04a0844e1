"""Every verb from every state: what moves is in the table, and what does not move is left as it was to the last column."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from dtq_site.foundation.errors import Conflict
from tasks import lifecycle
from tasks.domain.lease import Lease
from tasks.domain.states import MOVES, Hold, TaskStatus
from tasks.models import Task
from tests.support.factories import (
    LEASE,
    WORKER,
    after,
    claim,
    completed,
    create,
    discarded,
    failed,
    in_state,
    reap,
    row,
    settle,
)

LATE = after(86_400)


def lease(task: Task) -> Lease:
    """The lease that the task bears, or one that a liar makes up."""
    return Lease(task.pk, task.fencing_token, task.claim_id or WORKER)


VERBS: dict[str, Callable[[Task], object]] = {
    "promote": lambda task: lifecycle.promote(LATE),
    "claim": lambda task: claim([task], LATE),
    "complete": lambda task: settle(completed(lease(task)), now=LATE),
    "fail": lambda task: settle(failed(lease(task)), now=LATE),
    "discard": lambda task: settle(discarded(lease(task)), now=LATE),
    "release": lambda task: lifecycle.release([lease(task)], LATE),
    "reap": lambda task: reap(LATE),
    "cancel": lambda task: lifecycle.cancel(task.pk, LATE),
    "retry": lambda task: lifecycle.retry(task.pk, LATE),
    "update": lambda task: lifecycle.update(task.pk, {"title": "new"}, LATE),
    "withdraw": lambda task: lifecycle.withdraw_occurrence(task.pk),
    "delete": lambda task: lifecycle.delete(task.pk, LATE),
    # no moves: they leave the state alone
    "renew": lambda task: lifecycle.renew([lease(task)], LEASE, LATE),
    "begin": lambda task: lifecycle.mark_begun([lease(task)], LATE),
    "progress": lambda task: lifecycle.note_progress({lease(task): 50}, LATE),
}
HOLDERS = {"renew", "begin", "progress"}


def do(verb: str, task: Task) -> tuple[bool, TaskStatus | None]:
    """Whether the row changed, and the state it has now; None if it is gone."""
    before = row(task)
    with suppress(Conflict):
        VERBS[verb](task)
    rows = list(Task.objects.filter(pk=task.pk).values())
    return (rows != [before], TaskStatus(rows[0]["status"]) if rows else None)


@pytest.mark.parametrize("status", list(TaskStatus))
@pytest.mark.parametrize("verb", sorted(set(VERBS) - HOLDERS - {"withdraw"}))
def test_a_verb_moves_what_the_table_allows_and_touches_nothing_else(verb, status):
    task = in_state(status)
    allowed = MOVES[verb]

    changed, now = do(verb, task)

    assert changed == (status in allowed.sources)
    if changed:
        assert now in allowed.targets if allowed.targets else now is None


@pytest.mark.parametrize("status", list(TaskStatus))
@pytest.mark.parametrize("verb", sorted(HOLDERS))
def test_what_a_holder_does_reaches_a_running_task_only(verb, status):
    task = in_state(status)

    assert do(verb, task) == (status is TaskStatus.PROCESSING, status)


@pytest.mark.parametrize("hold", [Hold.SCHEDULE, Hold.DUE])
def test_only_an_occurrence_can_be_withdrawn(hold):
    task = create(scheduled_at=after(60), hold=hold)

    assert do("withdraw", task) == (hold is Hold.SCHEDULE, None if hold is Hold.SCHEDULE else TaskStatus.PENDING)


def test_every_move_of_the_table_is_played_here_or_with_its_own_verb():
    elsewhere = {"park", "wake"} | {"unblock"}  # test_locks.py, test_lock_ends.py, test_dependencies.py
    assert set(MOVES) - set(VERBS) == {"create", "complete_late"} | elsewhere
