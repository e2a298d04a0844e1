"""Tasks that need locks, and handlers that take them: who runs, and who waits."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import lifecycle, locks, metrics
from tasks.domain.lease import Lease
from tasks.domain.locks import LockVerdict
from tasks.domain.states import Hold, TaskStatus
from tasks.models import LockWaiter, NamedLock, Task
from tests.integration.tasks.attempts import state
from tests.integration.tasks.locking import BUSY, LOST, READY, WAITING, holder, run, wait
from tests.support.factories import START, after, claim, completed, create, lease_of, new_task, reread, row, settle

# --- taking --------------------------------------------------------------------------------------------------------


def test_of_the_tasks_of_a_lock_one_runs_and_the_others_wait():
    first, second, third, other = create(lock="a"), create(lock="a"), create(lock="b"), create()

    won = claim([second, other, first, third], after(1))

    assert [task.pk for task in won] == [first.pk, third.pk, other.pk]
    assert [task.lock_fencing_number > 0 for task in won] == [True, True, False]
    assert (holder("a"), holder("b")) == ((first.pk, 1), (third.pk, 1))
    assert state(second) == WAITING


def test_a_task_that_waits_is_what_it_was_but_for_its_token():
    run()
    task = create(lock="a")
    before = row(task)

    assert claim([task], after(1)) == []

    changes = {"status": TaskStatus.PENDING, "hold": Hold.LOCK, "queued_at": None}
    assert row(task) == before | changes | {
        "fencing_token": 1,
        "version": before["version"] + 2,
        "updated_at": after(1),
    }
    assert list(LockWaiter.objects.values_list("task_id", "name", "rank")) == [(task.pk, "a", task.rank)]


def test_waiting_is_counted_as_waiting_and_not_as_running():
    run()
    before = metrics.sums()

    wait()

    entered = {
        label: n - before.get((metric, label), 0)
        for (metric, label), n in metrics.sums().items()
        if metric == metrics.ENTERED
    }
    assert entered == {TaskStatus.QUEUED: 1, TaskStatus.PENDING: 1, TaskStatus.PROCESSING: 0}


def test_names_are_compared_byte_by_byte():
    tasks = [create(lock=name) for name in ("a", "A", "a ", "ä", "a" * 255)]

    assert len(claim(tasks)) == 5


def test_tasks_without_a_lock_ask_nothing_of_locks():
    tasks = lifecycle.create([new_task() for _ in range(3)], START)

    with CaptureQueriesContext(connection) as seen:
        won = claim(tasks)
        settle(*[completed(lease_of(task)) for task in won])
        lifecycle.release([lease_of(task) for task in claim([create()])], after(1))

    tables = (NamedLock._meta.db_table, LockWaiter._meta.db_table)
    assert len(won) == 3
    assert [query["sql"] for query in seen if any(table in query["sql"] for table in tables)] == []


def test_a_task_that_was_created_before_its_lock_was_known_gets_it_when_it_is_claimed(declare):
    first, second = create(payload={"account": "ann"}), create(payload={"account": "ann"})
    unnameable = create(payload={"account": None})
    declare(lock="report:{account}")

    won = claim([first, second, unnameable])

    assert [(task.pk, task.lock) for task in won] == [(first.pk, "report:ann"), (unnameable.pk, None)]
    assert (reread(first).lock, reread(second).lock) == ("report:ann", "report:ann")
    assert state(second) == WAITING


# --- locks that a handler takes ------------------------------------------------------------------------------------


def running() -> Lease:
    (won,) = claim([create()])
    return lease_of(won)


def test_a_running_attempt_takes_a_lock_and_frees_it():
    lease, other = running(), running()

    taken = lifecycle.take_lock(lease, "prices", after(1))

    assert (taken.verdict, taken.fencing_number > 0) == (LockVerdict.TAKEN, True)
    assert lifecycle.take_lock(lease, "prices", after(2)) == taken
    assert lifecycle.take_lock(other, "prices", after(2)) == BUSY
    assert lifecycle.free_lock(other, "prices", after(3)) is False
    assert lifecycle.free_lock(lease, "prices", after(3)) is True
    again = lifecycle.take_lock(other, "prices", after(4))
    assert (again.verdict, again.fencing_number > taken.fencing_number) == (LockVerdict.TAKEN, True)


def test_only_a_running_attempt_takes_a_lock():
    lease, cancelled = running(), running()
    lifecycle.cancel(cancelled.task_id, after(1))

    for false in (replace(lease, fencing_token=7), replace(lease, claim_id=uuid4()), cancelled):
        assert lifecycle.take_lock(false, "prices", after(2)) == LOST
    assert NamedLock.objects.count() == 0


def test_locks_that_a_handler_left_are_freed_with_its_attempt():
    lease = running()
    for name in ("prices", "stock"):
        lifecycle.take_lock(lease, name, after(1))
    waiting = wait(lock="stock")

    assert settle(completed(lease), now=after(2)) == ["ACCEPTED"]

    assert (holder("prices")[0], holder("stock")[0], state(waiting)) == (None, None, READY)
    assert Task.objects.get(pk=lease.task_id).status == TaskStatus.COMPLETED


def test_a_lock_that_a_handler_has_keeps_tasks_from_running_that_name_it():
    lease = running()
    lifecycle.take_lock(lease, "a", after(1))
    waiting = wait()

    assert lifecycle.free_lock(lease, "a", after(2)) is True

    assert state(waiting) == READY


def test_of_a_batch_those_with_locks_are_settled_beside_those_without():
    with_lock, without = run(), running()
    late = replace(running(), fencing_token=9)

    verdicts = settle(completed(without, 1), replace(completed(lease_of(with_lock), 2), locked=True), completed(late))

    assert verdicts == ["ACCEPTED", "ACCEPTED", "STALE_LEASE"]
    assert (holder()[0], reread(with_lock).result) == (None, 2)


def test_locks_that_are_waited_for_are_told_page_by_page():
    assert locks.awaited("", 10) == locks.ended(START, 10) == []
    run()
    for name in ("a", "b"):
        lease = running()
        lifecycle.take_lock(lease, "b", START)
        wait(lock=name)

    assert (locks.awaited("", 10), locks.awaited("", 1), locks.awaited("a", 10)) == (["a", "b"], ["a"], ["b"])
