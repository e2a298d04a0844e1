"""The floor under every verb: one transaction, repeated when it lost a deadlock, and the conflicts counted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F

from dtq_site.foundation import database
from dtq_site.foundation.database import repeats_lock_conflicts
from tasks import metrics
from tasks.models import Queue
from tests.integration.tasks.transacting import queues, raising
from tests.support.factories import START, in_own_connection

DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")


class Verb:
    """Writes a queue, then fails as often as it was told to."""

    def __init__(self, failures: int, error: Exception = DEADLOCK) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        Queue.objects.create(name=f"try-{self.calls}", created_at=START)
        if self.calls <= self.failures:
            raise self.error
        return "done"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between two tries."""
    monkeypatch.setattr(database, "full_jitter", lambda *_, **__: 0.0)


def run(verb: Verb) -> str:
    return repeats_lock_conflicts(lambda: verb())()


def test_a_lost_deadlock_is_repeated_and_leaves_nothing_of_the_first_try():
    verb = Verb(failures=2)

    assert run(verb) == "done"
    assert (verb.calls, queues()) == (3, ["try-3"])


def test_after_five_tries_the_error_is_the_caller_s():
    verb = Verb(failures=99)

    with pytest.raises(OperationalError):
        run(verb)

    assert (verb.calls, queues()) == (5, [])


def test_another_error_is_not_repeated():
    verb = Verb(1, OperationalError(1048, "Column cannot be null"))

    with pytest.raises(OperationalError):
        run(verb)

    assert (verb.calls, queues()) == (1, [])


def test_inside_a_caller_s_transaction_it_is_the_caller_who_repeats():
    verb = Verb(failures=1)

    with pytest.raises(OperationalError), transaction.atomic():
        run(verb)

    assert (verb.calls, queues()) == (1, [])


# --- conflicts are counted -------------------------------------------------------------------------------------------


def conflicts() -> dict[str, float]:
    return {kind: n for (metric, kind), n in metrics.sums().items() if metric == metrics.CONFLICTS}


def test_conflicts_are_counted_by_kind_when_the_transaction_has_ended():
    with pytest.raises(OperationalError):
        run(Verb(99, OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")))
    run(Verb(failures=2))

    assert conflicts() == {"deadlock": 2, "lock_wait": 5}


def test_a_count_that_cannot_be_written_fails_nobody(monkeypatch):
    monkeypatch.setattr(metrics, "record", raising)

    assert run(Verb(failures=1)) == "done"
    assert conflicts() == {}


def test_other_errors_are_no_conflicts():
    with pytest.raises(OperationalError):
        run(Verb(1, OperationalError(1048, "Column cannot be null")))

    assert conflicts() == {}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_of_two_transactions_that_block_each_other_one_is_repeated_and_both_are_written():
    for name in "ab":
        Queue.objects.create(name=name, created_at=START)
    both_hold_one = threading.Barrier(2)

    def pause(first: str, second: str) -> int:
        tries = 0

        @repeats_lock_conflicts
        def verb() -> None:
            nonlocal tries
            tries += 1
            Queue.objects.filter(name=first).update(weight=F("weight") + 1)
            if tries == 1:
                both_hold_one.wait(10)
            Queue.objects.filter(name=second).update(weight=F("weight") + 1)

        in_own_connection(verb)
        return tries

    with ThreadPoolExecutor(2) as pool:
        tries = list(pool.map(pause, "ab", "ba"))

    assert sorted(tries) == [1, 2]
    assert dict(Queue.objects.exclude(name="default").values_list("name", "weight")) == {"a": 3, "b": 3}
    assert conflicts() == {"deadlock": 1}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_a_wait_for_a_lock_that_takes_too_long_is_repeated_and_counted():
    Queue.objects.create(name="a", created_at=START)
    tries = 0

    @repeats_lock_conflicts
    def verb() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            holder.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        Queue.objects.filter(name="a").update(weight=7)

    holder = connection.copy()
    holder.set_autocommit(False)
    with holder.cursor() as cursor:
        cursor.execute("SELECT * FROM tasks_queue WHERE name = 'a' FOR UPDATE")
    try:
        verb()
    finally:
        holder.close()

    assert (tries, Queue.objects.get(name="a").weight) == (2, 7)
    assert conflicts() == {"lock_wait": 1}


@pytest.mark.skipif("connection.vendor != 'mysql'")
def test_locks_of_a_process_that_was_suspended_within_a_transaction_are_freed_by_the_database():
    Queue.objects.create(name="a", created_at=START)
    holder = connection.copy()
    holder.set_autocommit(False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT @@idle_transaction_timeout")
            assert cursor.fetchone() == (60,)
            cursor.execute("SET SESSION idle_transaction_timeout = 1")
            cursor.execute("UPDATE tasks_queue SET weight = 9 WHERE name = 'a'")

        Queue.objects.filter(name="a").update(weight=7)  # waits for less than its limit of three seconds
    finally:
        holder.close()

    assert Queue.objects.get(name="a").weight == 7
