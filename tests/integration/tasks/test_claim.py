"""Claims: who wins what."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks import lifecycle, queues
from tasks.domain.states import TaskStatus
from tasks.lifecycle import Claim
from tasks.models import Task
from tests.support.factories import (
    LEASE,
    OTHER_WORKER,
    START,
    WORKER,
    after,
    claim,
    claimed,
    completed,
    create,
    failed,
    in_own_connection,
    in_state,
    lease_of,
    make_team,
    new_task,
    reread,
    row,
    settle,
)


def test_a_claim_makes_a_lease_a_token_and_an_attempt():
    task = create()
    claim_id = uuid.uuid4()

    (won,) = claim([task], after(1), claim_id=claim_id)

    kept = reread(task)
    assert (kept.status, kept.lease_owner, kept.claim_id) == (TaskStatus.PROCESSING, WORKER, claim_id)
    assert (kept.fencing_token, kept.attempts, kept.begun) == (1, 1, False)
    assert (kept.lease_expires_at, kept.started_at, kept.version) == (after(1) + LEASE, after(1), 2)
    assert (won.pk, won.fencing_token, won.claim_id) == (task.pk, 1, claim_id)


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.QUEUED])
def test_only_queued_tasks_are_won(status):
    task = in_state(status)
    before = row(task)

    assert claim([task], after(1), worker=OTHER_WORKER) == []
    assert row(task) == before


def test_only_tasks_of_that_queue_of_those_names_and_of_that_team_are_won():
    task = create(queue="mail", name="send", team=make_team())
    other = make_team("other")
    before = row(task)
    wanted = Claim(uuid.uuid4(), WORKER, LEASE)

    assert lifecycle.claim([task.pk], "default", {"send"}, wanted, START) == []
    assert lifecycle.claim([task.pk], "mail", {"other"}, wanted, START) == []
    assert lifecycle.claim([task.pk], "mail", set(), wanted, START) == []
    assert lifecycle.claim([task.pk], "mail", {"send"}, wanted, START, other.pk) == []
    assert lifecycle.claim([], "mail", {"send"}, wanted, START) == []
    assert row(task) == before
    (won,) = lifecycle.claim([task.pk], "mail", {"send"}, wanted, START, task.team_id)
    assert won.pk == task.pk


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed():
    task = create()
    queues.pause("default")
    before = row(task)

    assert claim([task]) == []
    assert row(task) == before
    queues.resume("default")
    assert claim([task]) == [task]


def test_the_winners_stand_in_the_order_of_the_queue():
    late, early, high = create(after(2)), create(after(1)), create(after(3), priority=10)

    assert claim([late, early, high]) == [high, early, late]


def test_a_stale_hint_for_a_task_that_the_same_worker_runs_is_not_won_twice():
    task = claimed()
    before = row(task)

    assert claim([task], after(1), worker=WORKER) == []
    assert row(task) == before


def test_of_a_stale_and_a_good_hint_only_the_good_one_is_won():
    running, ready = claimed(), create()

    assert claim([running, ready], after(1)) == [ready]


def test_a_repeated_request_finds_what_it_won():
    task, claim_id = create(), uuid.uuid4()
    claim([task], claim_id=claim_id)

    assert [won.pk for won in lifecycle.claimed_under(claim_id, [task.pk])] == [task.pk]
    assert lifecycle.claimed_under(uuid.uuid4(), [task.pk]) == []


def test_tokens_grow_with_every_claim_and_never_go_back():
    task = create(max_retries=100)
    tokens = []
    for n in range(3):
        (won,) = claim([task], after(100 * n))
        tokens.append(won.fencing_token)
        settle(failed(lease_of(won), retry_delay_seconds=0), now=after(100 * n))
        lifecycle.promote(after(100 * n))
    (won,) = claim([task], after(400))
    lifecycle.release([lease_of(won)], after(400))
    (won,) = claim([task], after(500))
    lifecycle.cancel(task.pk, after(500))
    lifecycle.release([lease_of(won)], after(501))
    lifecycle.retry(task.pk, after(502))
    (won,) = claim([task], after(503))

    assert [*tokens, won.fencing_token] == [1, 2, 3, 6]
    assert settle(completed(lease_of(won)), now=after(504)) == ["ACCEPTED"]


def test_threads_that_claim_the_same_ids_split_them():
    tasks = lifecycle.create([new_task() for _ in range(60)], START)

    def claim_all(worker: uuid.UUID) -> set[uuid.UUID]:
        return in_own_connection(lambda: {task.pk for task in claim(tasks, worker=worker)})

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(claim_all, [uuid.uuid4() for _ in range(8)]))

    assert sum(map(len, won)) == 60
    assert set().union(*won) == {task.pk for task in tasks}
    assert set(Task.objects.values_list("fencing_token", "attempts", "status")) == {(1, 1, TaskStatus.PROCESSING)}
